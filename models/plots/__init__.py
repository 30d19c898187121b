"""What can happen in a story: each plot is a function which tells one to the end."""

from models.plots import courage, days, friends, helping, making, things

PLOTS = (
    *(things.lost, things.share, things.broken, things.gift, things.box),
    *(friends.newcomer, friends.quarrel, friends.ill, friends.race, friends.promise),
    *(helping.bird, helping.stuck, helping.little_one, helping.favour, helping.load, days.tidy),
    *(courage.dark, courage.thunder, courage.high, courage.dog, courage.skill, courage.way_home),
    *(making.build, making.cook, making.plant, making.wish),
    *(days.rain, days.trip, days.greedy, days.sleepless),
)
