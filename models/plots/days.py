"""Plots of a day and its end: rain, a trip, a messy room, too many cookies, no sleep."""

from __future__ import annotations

from models.grammar import Teller
from models.words import FOODS, PLACES, cast, day, opening, toy


def rain(t: Teller) -> None:
    """Rain spoils a plan, and something else turns out as good."""
    cast(t)
    t["plan"] = t.pick(
        (
            "have a picnic {place.at}",
            "fly a kite {place.at}",
            "play ball {place.at}",
            "have a party {place.at}",
        )
    )
    t["plan"] = t["plan"].format(place=t["place"])
    t["food"] = t.pick(FOODS)
    t["idea"], t["end"] = t.pick(
        (
            ("build a tent from blankets", "in the tent"),
            ("make a ship from chairs", "on the ship"),
            ("make a castle from boxes", "in the castle"),
            ("have the picnic on the floor", "on the blanket"),
            ("play shop in the kitchen", "in the kitchen"),
        )
    )
    opening(t)
    t.say(
        "{hero} and {friend} wanted to {plan}. they [talked about it all week|were so excited].",
        "{hero} was excited. today {hero.he} would {plan} with {friend}.",
    )
    t.maybe(
        0.5,
        "{hero.his} {adult.common} put a {food} and some juice in a basket, and they were ready to go.",
        "{hero} got up early and put on {hero.his} [hat|shoes].",
    )
    t.say(
        "but then dark clouds came. drip, drop! it began to rain.",
        "but when {hero} opened the door, [it rained|big drops fell from the sky].",
    )
    t.say(
        '"[oh no|not today]!" said {hero}. "[now we cannot go|our day is ruined]." {hero.he} [was close to tears|looked out of the window].',
        "{friend} came in with wet hair. both were [sad|very sad].",
    )
    t.maybe(
        0.5,
        '"[rain, rain, go away|please stop, rain]!" they called. but it rained [more and more|even harder].',
        "they waited and waited, but the rain did not stop.",
    )
    t.say(
        'then {hero} had an idea. "let us {idea}!" {hero.he} said.',
        '"we can have fun inside too," said {adult}. "why not {idea}?"',
        '{friend} looked around the room. "i know! let us {idea}," {friend.he} said.',
    )
    t.maybe(
        0.5,
        "{hero} and {friend} [went to work|got everything they needed]. soon it was ready.",
        "they [worked and laughed|used everything they could find]. {adult} helped too.",
    )
    t.say(
        "they sat {end} and ate a {food}. the rain went tap, tap on the roof.",
        "they shared a {food} {end} and told [funny stories|each other stories].",
    )
    t.maybe(
        0.5,
        '"this is [better than|as good as] outside," said {friend}.',
        "it was so [cozy|much fun] that they forgot the rain.",
    )
    t.say(
        "when {hero} looked out, the sun was back, and there was a rainbow over {place}!",
        "in the evening, the rain stopped. {hero} and {friend} [jumped in the puddles|saw a big rainbow].",
    )
    t.say(
        "{hero} learned that a rainy day can be a good day.",
        '"i hope it rains again tomorrow," said {hero}, and they all laughed.',
        "you cannot change the rain, but you can change the plan.",
    )


def trip(t: Teller) -> None:
    """A trip with a small treasure to take home."""
    cast(t)
    t["place"], t["home"] = t.two([p for p in PLACES if p.name != "the garden"])
    t["way"] = t.pick(("by bus", "by train", "on foot", "by bike", "in a cart"))
    first, second = t.two(t["place"].sights)
    t["first"], t["second"] = first, second
    t["treasure"] = t.pick(
        ("a white stone", "a feather", "a round stone", "a yellow leaf", "a shell", "a red flower")
    )
    t["food"] = t.pick(FOODS)
    opening(t)
    t.say("{hero} had never been to {place}.", "{hero} wanted to see {place} more than anything.")
    t.say(
        day(t)
        + ' {hero.his} {adult.common} said, "today we will go to {place}." {hero} [jumped for joy|was so excited].',
        day(t) + " {hero} and {friend} went to {place} with {hero}'s {adult.common}.",
    )
    t.say(
        'they went {way}. [it was a long way.|on the way, they sang songs.|{hero} asked, "are we there yet?"]',
        "they went there {way}, and {hero} took a {food} for the way.",
    )
    t.say("at last they were there. {hero} saw {first}.", '"look!" {hero} called. there was {first}!')
    t.say(
        "then they saw {second}. {hero} [had never seen that before|could not stop looking].",
        '"and what is that?" asked {hero}. it was {second}.',
    )
    problem = t.likely(0.5)
    if problem:
        t.say(
            "after a while, {hero} was [tired|hungry and tired]. {hero.his} [feet|legs] hurt.",
            "suddenly the wind was cold, and {hero} was tired.",
        )
        t.say(
            '"[sit on my back|i will carry you|come, we will rest]," said {adult}. they [rested|sat down] and ate a {food} together.',
            "they sat down and shared a {food}. then {hero} felt better.",
        )
    else:
        t.say(
            "they ran, [jumped|played] and laughed all day. {adult} [made a fire|sat in the sun|told them stories].",
            "they had a picnic with a big {food}. a [bird|bee] wanted some too.",
        )
    t.say(
        "before they went home, {hero} found {treasure}. {hero.he} put it in {hero.his} pocket.",
        'on the ground, {hero} saw {treasure}. "this is for [me to remember|my window]," {hero.he} said.',
    )
    t.maybe(
        0.5,
        "on the way home, the sun went down, and {hero} [fell asleep|was tired and happy].",
        "when they came home, the [moon|first star] was in the sky.",
    )
    t.maybe(
        0.5,
        '"[what did you like best|how was your day]?" asked {adult}. "[everything|all of it]!" said {hero}.',
        '"can we go again?" asked {hero}. "[yes, soon|of course]," said {adult}.',
    )
    t.say(
        "{hero} put {treasure} next to {hero.his} bed and dreamed of {place}.",
        "every time {hero} looks at {treasure}, {hero.he} thinks of that day.",
    )


def greedy(t: Teller) -> None:
    """Too much of a good thing makes a tummy ache."""
    cast(t)
    t["food"] = t.pick(("cookies", "cherries", "plums", "berries", "pancakes", "apples"))
    opening(t, t.pick(("greedy", "hungry", "little", "funny")))
    t.say(
        "{hero} loved {food}[| more than anything].",
        "there was nothing {hero} liked more than {food}.",
    )
    t.say(
        day(t)
        + ' {hero.his} {adult.common} had a big [bowl|plate] of {food}. "they are for [everybody|the party|all of us]," {adult.he} said.',
        day(t)
        + ' {hero.his} {adult.common} had a big bowl of {food}. "please wait for {friend}," {adult.he} said.',
    )
    t.say(
        '{hero} [was alone in the kitchen|looked at the {food}]. they [smelled|looked] so good! "just one," {hero.he} thought.',
        '"nobody will see if i take just one," thought {hero}.',
    )
    t.say(
        "{hero.he} ate one. then {hero.he} ate two, and three, and four. soon the bowl was [almost empty|empty].",
        "{hero} took one, then two, then ten. soon the bowl was empty.",
    )
    t.say(
        'then {hero.his} tummy began to hurt. "[ow|oh], my tummy!" {hero.he} [cried|said].',
        "but then {hero} felt [sick|strange]. {hero.his} tummy was as hard as a stone.",
    )
    t.say(
        'there was a knock at the door. {friend} came in. "where are the {food}?" {friend.he} asked.',
        '{friend} came and looked into the bowl. "[they are all gone|it is empty]," {friend.he} said and was sad.',
    )
    t.say(
        '{hero} [turned red|looked at the floor]. "i ate them all," {hero.he} said. "[i am sorry|i am so sorry]."',
        '"it was me," said {hero}. "i did not [wait|share]. i am sorry."',
    )
    t.maybe(
        0.5,
        '{adult} gave {hero.him} [some tea|warm tea] and put {hero.him} to bed. "[too much of a good thing is not good|your tummy will get better]," {adult.he} said.',
        '"now your tummy tells you that it was too much," said {adult}.',
    )
    t.say(
        "the next day, {hero} [helped {adult} to get|got] new {food}. {hero.he} gave the first one to {friend}.",
        "when {hero} was well again, {hero.he} [took|brought] a bag of {food} to {friend}.",
    )
    t.maybe(
        0.5,
        '"this time we share," said {hero}. "[half for you, half for me|one for you and one for me]."',
        "{friend} smiled, and they ate the {food} together, [one by one|slowly].",
    )
    t.say(
        "and {hero}'s tummy did not hurt at all.",
        "{hero} learned that {food} taste best when there are [some for everyone|enough for all].",
        "after that, {hero} always [asked first|left some for the others].",
    )


def sleepless(t: Teller) -> None:
    """Nobody can sleep without the right thing."""
    cast(t)
    t["wrong"], t["second"] = t.two(
        ("a glass of milk", "one more story", "a bigger blanket", "a soft pillow", "a song")
    )
    t["missing"] = t.pick(("teddy bear", "old blanket", "toy rabbit", "little pillow", "toy mouse"))
    t["spot"] = t.pick(
        (
            "under the sofa",
            "in the garden",
            "in the bath",
            "on the swing",
            "in the kitchen",
            "behind the door",
        )
    )
    opening(t, t.pick(("little", "sleepy", "small", "young")))
    t.say(
        "it was [late|night], and the moon was in the sky. but {hero} could not sleep.",
        "one night, {hero} lay in bed with open eyes. {hero.he} was tired, but {hero.he} could not sleep.",
    )
    t.maybe(
        0.5,
        '{hero.he} turned left, {hero.he} turned right. "{adult}, i cannot sleep!" {hero.he} called.',
        '"{adult}!" {hero} called. "i cannot sleep!"',
    )
    t.say(
        '{hero.his} {adult.common} came. "do you want {wrong}?" {adult.he} asked. {hero} got {wrong}, but {hero.he} still could not sleep.',
        '"maybe you need {wrong}," said {hero.his} {adult.common}. {hero} got it, but it did not help.',
    )
    t.maybe(
        0.5,
        '"maybe {second}?" asked {adult}. but that did not help either.',
        '"then you need {second}," said {adult}. but {hero} was still awake.',
    )
    t.say(
        '{hero} [counted sheep|looked at the moon]. one, two, three, ten, twenty. "[something is wrong|something is not right]," {hero.he} said.',
        '"[something is missing|it feels so empty here]," said {hero} and looked around {hero.his} bed.',
    )
    t.say(
        '"where is your {missing}?" asked {adult}. {hero} sat up. the {missing} was not there!',
        'then {hero} knew it. "my {missing}! where is it?"',
    )
    t.say(
        '"where did you play today?" {adult} asked. {hero} thought about the day.',
        "they looked under the blanket and behind the bed. it was not there.",
    )
    t.say(
        '"{spot}!" said {hero}. {adult} took a lamp and went to look.',
        "so they took a lamp and looked in the whole house. then {hero} thought of one more place.",
    )
    t.say(
        "and there, {spot}, was the {missing}, [all alone|cold and alone].",
        "they looked {spot}. there was the {missing}!",
    )
    t.maybe(
        0.5,
        '"[poor thing|there you are]," said {hero} and held it close. "[you could not sleep either|i missed you]."',
        "{hero} hugged the {missing} and [ran back to bed|went back to bed].",
    )
    t.say(
        '"good night," said {adult}. but {hero} did not hear it. {hero.he} was already asleep.',
        "and before {adult} could say good night, {hero} was asleep.",
        "the moon looked in at the window and saw {hero} and the {missing}, both fast asleep.",
    )


def tidy(t: Teller) -> None:
    """A messy room hides what is wanted; tidying finds it."""
    cast(t, animals=False)
    toy(t)
    t["spot"] = t.pick(
        (
            "under a pile of clothes",
            "under the bed",
            "behind the books",
            "under the pillow",
            "in an old shoe box",
        )
    )
    opening(t, t.pick(("messy", "lazy", "wild", "little")))
    t.say(
        "{hero} never [liked to clean|wanted to clean up] {hero.his} room. there were [toys|clothes and toys] everywhere.",
        "{hero.his} room was a big mess. [there were toys on the floor and socks on the lamp|nobody could see the floor].",
    )
    t.say(
        '"please clean your room," said {hero.his} {adult.common}. "[later|not now|tomorrow]," said {hero}.',
        '{hero.his} {adult.common} often said, "you should clean up." but {hero} only wanted to play.',
    )
    t.say(
        day(t) + ' {friend} came to visit. "let us play with your {thing}!" {friend.he} said.',
        day(t) + " {hero} wanted to show {hero.his} {thing} to {friend}.",
    )
    t.say(
        "but where was the {thing.noun}? {hero} looked and looked. {hero.he} could not find it in the mess.",
        "{hero} looked here and there, but the {thing.noun} was [gone|nowhere].",
    )
    t.maybe(
        0.5,
        '"[we cannot play like this|it is lost in the mess]," said {hero} and sat down on [a toy|the floor]. {hero.he} was [sad|cross].',
        "{hero} was [sad|cross] and kicked a shoe.",
    )
    t.say(
        '"i will help you clean up," said {friend}. "then we will find it."',
        '"if everything has its place, [you can find it|nothing gets lost]," said {adult}. "[come, let us start|let us start]."',
    )
    t.say(
        "{hero} put the [books|socks] away, and {friend} picked up the [toys|blocks]. it was [almost a game|fun to do it together].",
        "they put the books on the shelf, the toys in the box and the socks in the drawer.",
    )
    t.say(
        "and then, {spot}, {hero} found the {thing}!",
        '"here it is!" called {friend}. the {thing} was {spot}.',
    )
    t.maybe(
        0.5,
        '{adult} came in and [could not believe it|smiled]. "what a nice room!" {adult.he} said.',
        "now the room was clean, and there was a lot of space to play.",
    )
    t.maybe(
        0.5,
        "{hero} and {friend} played with the {thing.noun} until [dinner|the evening].",
        "then they played [all afternoon|all day] with the {thing.noun}.",
    )
    t.say(
        "from then on, {hero} cleaned up [every evening|every day], and the {thing.noun} had its own place.",
        "{hero} never lost the {thing.noun} again, because {hero.he} kept {hero.his} room clean.",
    )
