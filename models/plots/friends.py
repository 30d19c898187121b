"""Plots between friends: meeting, quarrelling, being ill, racing, being lonely, keeping a promise."""

from __future__ import annotations

from models.grammar import Teller
from models.words import FOODS, cast, day, opening, toy

GAMES = ("hide and seek", "catch", "pirates", "kings and queens", "jumping games")


def newcomer(t: Teller) -> None:
    """Someone new is shy; a common game makes friends."""
    cast(t)
    toy(t)
    t["game"] = t.pick(GAMES)
    shy = t.likely(0.5)
    opening(t, "shy" if shy else t.pick(("little", "friendly", "happy", "kind")))
    if shy:
        t.say(
            "{hero} was new in town and [did not know anyone|had no friends there yet].",
            "{hero} had just moved to a new house. everything was [strange|new], and {hero.he} had no friends.",
        )
        t.say(
            day(t)
            + " {hero} saw {friend} {place.at}. {friend.he} had a {thing}. {hero} wanted to play too, but {hero.he} [was too shy to ask|did not dare to ask].",
            day(t)
            + " {hero} went to {place} with {hero.his} {adult.common}. a {friend.kind} named {friend} was there with a {thing}. {hero} hid behind {adult}.",
        )
        t.say(
            '"[go and say hello|just say hello]," said {adult}. "[it is not so hard|be brave|nothing can go wrong]."',
            '{adult} smiled and said, "a friend is someone you say hello to."',
        )
        t.say(
            'so {hero} took a deep breath. "hello, i am {hero}," {hero.he} said. "[i want to play too|i like your {thing.noun}]."',
            '{hero} walked up to {friend} [slowly|with small steps]. "hi," {hero.he} said in a [small|soft] voice. "[can i play|can we play together]?"',
        )
        t.say(
            '"[of course|yes, please]!" said {friend}. "[i was bored all alone|it is no fun alone|two can play better than one]."',
            '{friend} smiled. "i am {friend}. [you can hold the {thing.noun} first|i was hoping that you would ask]."',
        )
    else:
        t.say(
            day(t) + " {hero} was playing {place.at} with {hero.his} {thing}.",
            "{hero} had a {thing}. " + day(t) + " {hero.he} took it to {place}.",
        )
        t.say(
            "{hero.he} saw a {friend.kind} who [sat all alone|stood under a tree all alone|looked very lonely].",
            "a new {friend.kind} sat [on a rock|under a tree], all alone. nobody played with {friend.him}.",
        )
        t.say(
            '{hero} went over and said, "hello, i am {hero}. [what is your name|who are you]?"',
            '"hi!" said {hero}. "[are you new here|why are you alone]? what is your name?"',
        )
        t.say(
            '"[my name is|i am] {friend}," said the {friend.kind}. "[i am new here|we moved here today], and i have no friends."',
            'the {friend.kind} looked up. "i am {friend}," {friend.he} said. "i [do not know anyone here|have no one to play with]."',
        )
        t.say(
            '"[then let us play together|now you know me|you can play with me]," said {hero}, and [gave {friend.him}|let {friend.him} hold] the {thing}.',
            '"i can be your friend," said {hero}. "do you [like|want to try] my {thing.noun}?" {friend} nodded.',
        )
    t.maybe(
        0.5,
        "first they played with the {thing.noun}. then they played {game}.",
        "they played {game} [all afternoon|all day], and they laughed a lot.",
        "{friend} showed {hero} how to play {game}. it was [so much fun|a lot of fun].",
    )
    t.maybe(
        0.5,
        'when it was time to go home, {friend} asked, "[will you come again tomorrow|can we play again tomorrow]?" "yes!" said {hero}.',
        'then the sun went down. "see you tomorrow," said {hero}. "see you tomorrow!" said {friend}.',
    )
    t.say(
        "{hero} [ran|walked] home with a big smile. {hero.he} had [made|found] a new friend.",
        "from that day on, {hero} and {friend} [were best friends|met {place.at} every day].",
        "{hero} told {hero.his} {adult.common} all about {hero.his} new friend {friend}.",
    )


def quarrel(t: Teller) -> None:
    """Two want the same toy; it breaks or lies there alone; they make up and take turns."""
    cast(t)
    toy(t)
    tears = t["thing"].noun in ("kite", "doll", "book", "hat", "scarf")
    opening(t)
    t.say(
        "{hero} and {hero.his} friend {friend} [played together every day|did everything together].",
        "{hero.his} best friend was {friend.full}. [they played every day|they were always together].",
    )
    t.say(
        day(t) + " they found a {thing} {place.at}. [both wanted to have it|both of them wanted it].",
        day(t) + " they played {place.at} with a {thing}. both wanted to [have it|go] first.",
    )
    t.say(
        '"[it is mine|i saw it first|give it to me]!" said {hero}. "no, [it is mine|i saw it first|i want it]!" said {friend}.',
        '"i want the {thing.noun}!" [cried|said] {friend}. "no, [it is mine|me first]!" {hero} [cried|said].',
    )
    if tears:
        t.say(
            "{hero} pulled and {friend} pulled. [rip|oh no]! The {thing.noun} [tore|was torn].",
            "they pulled and pulled until the {thing.noun} tore [in two|in the middle].",
        )
    else:
        t.say(
            "{hero} pulled and {friend} pulled. then the {thing.noun} fell [into the mud|into a puddle|on the ground].",
            "they pulled and pushed until the {thing.noun} fell [down|into the mud].",
        )
    t.maybe(
        0.5,
        '"[this is your fault|look what you did]!" said {hero}. {friend} [was angry and went home|ran home and cried].',
        "{friend} was [very angry|angry] and went home. {hero} [went home too|was angry too].",
    )
    t.say(
        "at home, {hero} [was bored|sat alone in {hero.his} room|looked out of the window]. it was no fun without {friend}.",
        "the next day, {hero} played alone. {hero.he} missed {friend}.",
    )
    t.maybe(
        0.5,
        '"a {thing.noun} is just a {thing.noun}," said {hero.his} {adult.common}. "but a friend is [hard to find|more than that]."',
        '{hero.his} {adult.common} asked, "what is better, a {thing.noun} or a friend?" {hero} [thought about it|knew the answer].',
    )
    t.say(
        'so {hero} went to {friend} and said, "i am sorry. [i was not nice|i want to be friends again|you are more important]."',
        'then there was a knock at the door. it was {friend}. "i am sorry," {friend.he} said. "[me too|i am sorry too]," said {hero}.',
    )
    if tears:
        t.say(
            "they [fixed|mended] the {thing.noun} with [needle and thread|tape] and took turns.",
            "together they [fixed|mended] the {thing.noun}. it looked [funny|a little funny], but they liked it.",
        )
    else:
        t.say(
            "they [washed|cleaned] the {thing.noun} and took turns. first {friend}, then {hero}.",
            "they found the {thing.noun} and cleaned it. then they played with it together.",
        )
    t.say(
        "{hero} and {friend} learned that [taking turns|playing together] is better than [fighting|a fight].",
        "now {hero} and {friend} are best friends again[|, and they never fight about toys].",
        "and it was more fun [to play together|with two] than alone.",
    )


def ill(t: Teller) -> None:
    """A friend is ill; a visit with soup or a song makes it better."""
    cast(t)
    t["cure"], t["act"] = t.pick(
        (
            ("soup", "made hot soup"),
            ("tea", "made tea with honey"),
            ("flowers", "picked some flowers"),
            ("cookies", "baked cookies"),
            ("a picture", "painted a picture"),
        )
    )
    t["game"] = t.pick(GAMES)
    opening(t, t.pick(("kind", "good", "friendly", "little")))
    t.say(
        "every day, {hero} played {game} with {friend} {place.at}.",
        "{hero} had a good friend named {friend}. they [loved to play|often played] {game} {place.at}.",
    )
    t.say(
        day(t) + " {friend} did not come. {hero} waited and waited.",
        day(t) + " {hero} went to {place}, but {friend} was not there.",
    )
    t.say(
        '"where is {friend}?" {hero} asked {hero.his} {adult.common}. "{friend.he} is [sick|ill] and must stay in bed," said {adult}.',
        "{hero} went to {friend}'s house and knocked. {friend} was in bed. {friend.he} was [sick|ill] and [sad|hot].",
    )
    t.maybe(
        0.5,
        '"poor {friend}," [thought|said] {hero}. "[what can i do|how can i help]?"',
        "{hero} was [sad|worried]. {hero.he} wanted to [help|make {friend} smile].",
    )
    t.say(
        "{hero} went home and {act} [for {friend}|with {hero.his} {adult.common}].",
        "then {hero} had [an idea|a good idea]. {hero.he} {act} for {hero.his} friend.",
    )
    t.say(
        '{hero.he} took {cure} to {friend}. "this is for you," {hero.he} said.',
        '"look, {friend}, i have {cure} for you!" said {hero}.',
    )
    t.maybe(
        0.5,
        '{friend} sat up and smiled. "[you are so kind|how nice of you|thank you], {hero}," {friend.he} said.',
        '"for me?" asked {friend}. {friend.he} smiled for the first time that day.',
    )
    t.maybe(
        0.5,
        "{hero} sat by the bed and [told a story|sang a song|read a book to {friend.him}].",
        "they could not play {game}, so {hero} told {friend} a [funny|long] story.",
    )
    t.say(
        "[a few days later|after three days|soon], {friend} was [well|strong] again. they [ran|went] to {place} and played {game}.",
        "the next [day|week], {friend} felt [better|much better]. soon they played {game} again.",
    )
    t.say(
        '"you were the best [medicine|doctor] of all," said {friend}.',
        "a good friend is the best medicine.",
        "{friend} never forgot how {hero} had [helped|come to see] {friend.him}.",
    )


def race(t: Teller) -> None:
    """A race; stopping to help is worth more than winning."""
    cast(t)
    t["prize"] = t.pick(FOODS)
    t["goal"] = t.pick(("the big tree", "the old bridge", "the white stone", "the red gate"))
    helps = t.likely(0.6)
    if helps:
        opening(t, t.pick(("fast", "quick", "strong", "brave")))
        t.say(
            "{hero} could run faster than anyone. {hero.he} wanted to win the big race.",
            "there was a race {place.at}, and {hero} wanted to [win|be the first].",
        )
        t.say(
            "the prize was a [big|huge] {prize}. [everybody|everyone] ran to {goal}.",
            "the one who came first to {goal} would get a [big|huge] {prize}.",
        )
        t.say(
            '"one, two, three, go!" [said|called] {adult}. {hero} was [soon in front|the first].',
            "they started, and soon {hero} was in front.",
        )
        t.say(
            "then {hero} heard a cry. {friend} had [fallen|hurt {friend.his} foot] and could not [get up|run].",
            '"ouch!" cried {friend}. {friend.he} had fallen [over a root|over a stone] and [hurt {friend.his} knee|could not get up].',
        )
        t.say(
            "{hero} looked at {goal}. it was so near! but {hero.he} [turned around|stopped] and went back.",
            "{hero} wanted to win. but {hero.he} stopped and [ran|went] back to {friend}.",
        )
        t.maybe(
            0.5,
            '"[are you hurt|can you walk]?" {hero} asked. "[hold on to me|take my hand], we will go together."',
            '{hero.he} helped {friend} up. "[lean on me|take my hand]," {hero.he} said.',
        )
        t.say(
            "so they came to {goal} [last of all|very slowly]. but everyone [clapped|cheered] for them.",
            "they were the last to come to {goal}, but everybody [clapped|cheered].",
        )
        t.say(
            '"[a kind heart is worth more than fast feet|you did not win, but you have a good heart]," said {adult} and gave {hero} [a {prize} too|half of the {prize}].',
            '{adult} gave the {prize} to {hero}. "this is for [helping your friend|your kind heart]," {adult.he} said.',
        )
        t.maybe(
            0.5,
            "{hero} shared [it|the {prize}] with {friend}, and [both were happy|it tasted very good].",
            '"thank you for coming back," said {friend}. they ate [it|the {prize}] together.',
        )
    else:
        opening(t, "slow")
        t.say(
            "everyone laughed at {hero}, because {hero.he} was so slow. [most of all {friend}, who was very fast|{friend} laughed the most].",
            '"you are so slow," {friend} [always|often] said. {friend} was the fastest of all.',
        )
        t.say(
            '"let us have a race to {goal}," said {hero} '
            + day(t).strip(",")
            + '. {friend} laughed. "i will win!"',
            day(t)
            + ' {hero} said, "let us race to {goal}. the prize is a {prize}." {friend} [laughed|agreed].',
        )
        t.say(
            "they started, and {friend} was [soon far away|far in front]. {hero} went on, step by step.",
            "{friend} ran like the wind. {hero} walked, [slow but steady|one step after the other].",
        )
        t.say(
            '"i have so much time," thought {friend}. {friend.he} [lay down under a tree and fell asleep|stopped to eat berries|sat down to rest and fell asleep].',
            "after a while, {friend} looked back. {hero} was far behind, so {friend} [took a nap|stopped to play].",
        )
        t.maybe(
            0.5,
            "{hero} did not stop. {hero.he} [walked and walked|went on and on].",
            "but {hero} did not rest, not even [once|for a moment].",
        )
        t.say(
            "when {friend} [looked up|started to run again], it was too late. {hero} was at {goal}!",
            "at last {friend} ran on, but {hero} was at {goal} first!",
        )
        t.say(
            '"[you won|well done]!" said {friend}. "i am sorry that i laughed at you."',
            '{friend} was [sorry|red in the face]. "[you are slow, but you never stop|i will not laugh at you again]," {friend.he} said.',
        )
        t.say(
            "{hero} smiled and gave {friend} half of the {prize}.",
            "slow and steady wins the race.",
            "{hero} was proud, and nobody laughed at {hero.him} again.",
        )


def promise(t: Teller) -> None:
    """A promise is hard to keep, and is kept."""
    cast(t)
    t["task"], t["short"] = t.pick(
        (
            ("feed the hens", "the hens"),
            ("water the flowers", "the flowers"),
            ("feed the fish", "the fish"),
            ("take care of the lamb", "the lamb"),
            ("water the tomatoes", "the tomatoes"),
        )
    )
    t["game"] = t.pick(GAMES)
    opening(t)
    t.say(
        '{hero.his} {adult.common} had to go [away|to town] for a day. "[can|will] you {task}?" {adult.he} asked.',
        day(t)
        + ' {hero.his} {adult.common} [was tired|had a lot to do]. "please {task} today," {adult.he} said.',
    )
    t.say(
        '"yes, i promise," said {hero}.',
        '"[you can count on me|i will not forget|of course]," said {hero}. "i promise."',
    )
    t.say(
        'then {hero.his} friend {friend} came. "let us [go to {place}|play {game}]!" {friend.he} [said|called].',
        'but on the way {hero} met {hero.his} friend {friend}. "we are going to {place}. come and play {game}!" said {friend}.',
    )
    t.say(
        "{hero} wanted to go [so much|very much]. but {hero.he} thought of {hero.his} promise.",
        "it sounded like so much fun! {hero} thought of {short}.",
    )
    forgets = t.likely(0.4)
    if forgets:
        t.say(
            '"[it can wait|i can do it later]," {hero.he} thought, and went to play.',
            '"just for a little while," said {hero}, and went with {friend}.',
        )
        t.say(
            'they played {game} until it was [dark|late]. suddenly {hero} [remembered|stopped]. "oh no, {short}!"',
            'in the middle of the game, {hero} stopped. "oh no! i forgot {short}!" {hero.he} cried.',
        )
        t.say(
            "{hero} ran home as fast as {hero.he} could. {friend} came too and helped to {task}.",
            '"i will help you," said {friend}. they ran home and went to {task}.',
        )
        t.maybe(
            0.5,
            '{hero} told {hero.his} {adult.common} [all about it|the truth]. "i am sorry that i was late," {hero.he} said.',
            '"i almost forgot," {hero} told {adult}. "i am sorry."',
        )
        t.say(
            '"[thank you for telling me|you came back, and that is good]," said {adult}. "next time, work first and then play."',
            '{adult} smiled. "first the work, then the fun," {adult.he} said.',
        )
    else:
        t.say(
            '"i cannot come now," said {hero}. "i promised to {task}."',
            '"not yet," said {hero}. "first i have to {task}."',
        )
        t.maybe(
            0.5,
            '"[that is boring|you are no fun]," said {friend} [and ran away|and went away]. {hero} was [sad|a little sad], but {hero.he} [stayed|went to work].',
            '"do it later," said {friend}. "no," said {hero}. "a promise is a promise."',
        )
        t.maybe(
            0.5,
            "{hero} went to {task}. [it took a long time|it was hard work|the sun was hot], but {hero.he} did it well.",
            "so {hero} began to {task}. {hero.he} [even sang a song|did everything right].",
        )
        t.maybe(
            0.5,
            'then {friend} came back. "i will help you," {friend.he} said. "then we can play [together|sooner]."',
            'when {hero} was done, {friend} was waiting at the gate. "[now we can play|it was no fun without you]," {friend.he} said.',
        )
        t.say(
            '{adult} saw {short} and smiled. "[i can trust you|you kept your promise]," {adult.he} said.',
            'in the evening, {adult} said, "thank you, {hero}. you kept your promise."',
        )
    t.say(
        "after that, {hero} and {friend} [played {game} until bedtime|went to {place} and played {game}].",
        "{hero} [felt proud|was glad]. [keeping a promise feels good|a promise is a promise].",
        "and from then on, {hero} never forgot a promise.",
    )
