"""Plots about small fears and first tries: the dark, thunder, a slide, a dog, the way home, a new skill."""

from __future__ import annotations

from models.grammar import Teller
from models.words import PLACES, cast, day, opening

SKILLS = (
    ("ride a bike", "fell off", "rode", "all the way down the street"),
    ("swim", "went under", "swam", "from one side of the pond to the other"),
    ("skate", "fell down", "skated", "all around the pond"),
    ("jump rope", "got stuck in the rope", "jumped", "ten times without a mistake"),
    ("walk on stilts", "fell down", "walked", "from the door to the gate"),
    ("climb a rope", "slid down", "climbed", "right up to the top"),
)


def dark(t: Teller) -> None:
    """A noise in the night turns out to be harmless."""
    cast(t)
    t["noise"], t["cause"], t["sense"] = t.pick(
        (
            ("tap, tap, tap", "a branch at the window", "the wind moved it"),
            ("hoo, hoo", "an owl in the tree", "it sang to the moon"),
            ("drip, drip", "water from the roof", "the rain had just stopped"),
            ("scratch, scratch", "a mouse with a nut", "it wanted its dinner"),
            ("bump, bump", "the garden gate", "nobody had closed it"),
            ("squeak, squeak", "the old door", "the wind moved it"),
        )
    )
    t["light"] = t.pick(("lamp", "candle", "little light"))
    opening(t, t.pick(("little", "young", "small", "shy")))
    t.say(
        "{hero} was afraid of the dark.",
        "there was one thing {hero} did not like: the dark.",
        "every night, {hero} was afraid when the light went out.",
    )
    t.say(
        'one night, {hero} was in bed. it was very dark. then {hero.he} heard a noise: "{noise}."',
        'one [cold|windy|dark] night, {hero} could not sleep. "{noise}," went something [outside|in the dark].',
    )
    t.maybe(
        0.5,
        '{hero.he} pulled the blanket over {hero.his} head. "[it is a monster|it is a ghost|somebody is there]!" {hero.he} thought.',
        "{hero.his} heart went boom, boom. was it a [monster|ghost|giant]?",
    )
    t.say(
        '"{adult}!" called {hero}. {hero.his} {adult.common} came with a {light}.',
        "{hero} called {hero.his} {adult.common}. {adult} came at once and sat on the bed.",
    )
    t.say(
        '"[something is out there|there is something in the dark]," {hero} [said|whispered]. "{noise}," it went again.',
        '"[what is it|why are you not asleep]?" asked {adult}. "listen," said {hero}. "{noise}!"',
    )
    t.say(
        '"let us [go and see|find out]," said {adult}. {adult.he} took {hero.his} hand.',
        '"[do you want to see what it is|shall we look]?" asked {adult}. {hero} [was scared, but {hero.he} nodded|took a deep breath and nodded].',
        '"i think it is afraid too," said {adult}. "come, we will look."',
    )
    t.say(
        "they took the {light} and [looked|went to look]. it was only {cause}!",
        "they walked to the window with the {light}. and what did they see? only {cause}.",
    )
    t.say(
        '"{sense}," said {adult}. {hero} [laughed|had to laugh|began to laugh].',
        '{hero} [laughed|smiled]. "so it was only {cause}," {hero.he} said.',
    )
    t.maybe(
        0.5,
        '"the dark is just [the day with its eyes closed|a big blanket]," said {adult}.',
        '"in the dark, everything is the same as in the day," said {adult}.',
        '"things are only scary when we do not know them," said {adult}.',
    )
    t.maybe(
        0.5,
        "{hero} went back to bed. {hero.he} listened to the noise and fell asleep [at once|with a smile].",
        "soon {hero} was asleep, and {hero.he} had good dreams.",
    )
    t.say(
        "from then on, {hero} was not afraid of the dark.",
        "the next night, {hero} [turned off the light alone|did not need the {light}].",
        'and when {hero} hears "{noise}" now, {hero.he} only smiles.',
    )


def thunder(t: Teller) -> None:
    """A storm; someone smaller is more afraid, and being brave for two is easier."""
    cast(t)
    t["small"] = t.pick(("puppy", "kitten", "little brother", "little sister", "baby rabbit"))
    t["hide"] = t.pick(("under the bed", "behind the sofa", "under the table", "in a big box"))
    t["song"] = t.pick(("a song", "a happy song", "a silly song"))
    opening(t, t.pick(("little", "happy", "young")))
    t.say(
        "{hero} liked the [sun|rain and the wind], but {hero.he} was afraid of thunder.",
        "when there was thunder, {hero} always hid {hide}.",
    )
    t.say(
        "one [hot|warm] evening, big black clouds came. [flash|boom]! A storm began.",
        "one night, a storm came. [boom|crash]! The thunder was very loud.",
    )
    t.maybe(
        0.5,
        "{hero} ran and hid {hide}. {hero.he} [closed {hero.his} eyes|put {hero.his} hands on {hero.his} ears].",
        "{hero} shook with fear and hid {hide}.",
    )
    t.say(
        "but someone was {hide} already. it was {hero.his} {small}! The little one [cried|shook] and was even more afraid.",
        "{hide}, {hero.he} found {hero.his} {small}, who was even more afraid.",
    )
    t.say(
        '"do not be afraid," said {hero}. "i am [here|with you]." {hero.he} took the {small} in {hero.his} arms.',
        '{hero} held the {small} close. "[it is only noise|the storm will pass]," {hero.he} said.',
    )
    t.say(
        "boom! {hero} was scared too, but {hero.he} [wanted to be brave|did not show it]. {hero.he} began to sing {song}.",
        "to make the {small} feel better, {hero} [sang|started to sing] {song}.",
    )
    t.say(
        'then {hero.his} {adult.common} came with [a lamp|warm milk]. "[count with me|let us count]," said {adult}. "flash! one, two, three, four. boom! it is [far away|going away]."',
        '{hero.his} {adult.common} heard the song and came. "thunder is [only the clouds talking|the drum of the sky]," said {adult}.',
    )
    t.maybe(
        0.5,
        "they sang together, and the thunder grew [softer and softer|smaller and smaller].",
        "they sat together [and listened|under a blanket]. soon the thunder was far away.",
    )
    t.say(
        "the {small} fell asleep. {hero} [smiled|was proud]. {hero.he} had forgotten to be afraid.",
        '"you were very brave," said {adult}. {hero} looked at the {small} and smiled.',
    )
    t.say(
        "in the morning, the sun was back, and there was a rainbow.",
        "after that night, {hero} did not hide from thunder any more. {hero.he} counted and sang.",
        "{hero} learned that it is easy to be brave for someone you love.",
    )


def high(t: Teller) -> None:
    """Something high or deep or big, and a first step with a friend."""
    cast(t)
    t["thing"], t["act"], t["did"] = t.pick(
        (
            ("the big slide", "go down", "went down"),
            ("the deep pond", "jump in", "jumped in"),
            ("the high bridge", "walk over", "walked over"),
            ("the tall swing", "swing", "began to swing"),
            ("the old tree house", "climb up", "climbed up"),
        )
    )
    opening(t, t.pick(("shy", "little", "small", "careful")))
    t.say(
        "{hero} [often|always] looked at {thing}. all the others had fun there, but {hero.he} was afraid.",
        "all {hero.his} friends loved {thing}. only {hero} did not dare to {act}.",
    )
    t.say(
        day(t) + ' {friend} asked, "[will you come with me|do you want to come]? it is so much fun!"',
        day(t) + ' {friend} called from {thing}, "come, {hero}! [it is great|try it]!"',
    )
    t.say(
        '"no, thank you," said {hero}. {hero.his} [legs shook|tummy hurt|knees were weak].',
        '{hero} shook {hero.his} head. "[it is too scary|i do not want to get hurt]," {hero.he} said.',
    )
    t.maybe(
        0.5,
        "some [children|others] laughed, but {friend} did not laugh.",
        '"[i was afraid too|the first time, i cried]," said {friend}. "[everyone is afraid at first|it gets better]."',
    )
    t.say(
        '"[we can do it together|i will hold your hand|i will be right next to you]," {friend} said. {hero} [thought about it|looked at {friend}].',
        '{friend} held out {friend.his} hand. "[one small step|just one little step] at a time," {friend.he} said.',
    )
    t.say(
        "{hero} took a deep breath. [one, two, three|one step, then two steps]! {hero.he} closed {hero.his} eyes and {did}.",
        '"[all right|i will try]," said {hero}. {hero.he} counted to three and {did} with {friend}.',
    )
    t.say(
        "[wow|whee|oh]! It was [wonderful|so much fun|great]. {hero} [laughed out loud|shouted for joy].",
        "and nothing bad happened! it was [great|wonderful], and {hero} laughed.",
    )
    t.maybe(
        0.5,
        '"[again, again|once more]!" {hero.he} [cried|called]. {hero.he} {did} again, this time alone.',
        "then {hero} wanted to do it again, and again, and again.",
    )
    t.maybe(
        0.5,
        'in the evening, {hero} told {hero.his} {adult.common}, "i {did} [today|all alone]!" {adult} was [very proud|so proud].',
        '{hero.his} {adult.common} saw it and clapped. "[how brave you are|look at you]!" {adult.he} said.',
    )
    t.say(
        'the next week, {hero} saw a small {friend.kind} who was afraid. "[take my hand|we can do it together]," said {hero}.',
        "{hero} learned that being brave means to be afraid and to do it anyway.",
        "from then on, {thing} was {hero}'s favorite place.",
    )


def dog(t: Teller) -> None:
    """A big animal looks fierce and only wants to play."""
    cast(t, animals=False)
    t["dog"] = t.pick(("Rex", "Bruno", "King", "Bear", "Rocky"))
    t["ball"] = t.pick(("ball", "stick", "bone"))
    t["look"] = t.pick(("big and black", "big and brown", "as big as a calf", "huge"))
    opening(t)
    t.say(
        "{hero} had to walk past a house with a dog every day. the dog was {look}.",
        "next to {hero}'s house lived a dog named {dog}. he was {look}.",
    )
    t.say(
        '"woof, woof!" [barked the dog|he barked] [every time|all the time]. {hero} was so afraid that {hero.he} ran.',
        "when he barked, {hero} ran away as fast as {hero.he} could.",
    )
    t.say(
        day(t) + " the gate was open! the dog came out and ran [to|after] {hero}.",
        day(t) + " {hero} saw the dog on the road. [he came nearer and nearer|there was no fence].",
    )
    t.maybe(
        0.5,
        '{hero} [stood still|could not move]. "[please do not bite me|help]!" {hero.he} cried.',
        "{hero} wanted to run, but {hero.his} legs did not move.",
    )
    t.say(
        "but the dog did not bite. he [put a {ball} at {hero}'s feet|had a {ball} in his mouth] and [wagged|waved] his tail.",
        "the dog stopped. he put down a {ball} and looked at {hero} with [big, soft|friendly] eyes.",
    )
    t.say(
        'a neighbor came out. "{dog} [only wants to play|likes you]," [he|she] said. "throw the {ball}!"',
        '"do you want to play?" {hero} asked. "woof!" said {dog}.',
    )
    t.say(
        "{hero} took the {ball} and threw it. {dog} ran and brought it back. {hero} [laughed|had to laugh].",
        "slowly, {hero} picked up the {ball} and threw it far. {dog} [jumped for joy|ran after it like the wind].",
    )
    t.maybe(
        0.5,
        "they played [until dinner|for a long time]. then {dog} licked {hero}'s [hand|nose|face].",
        "{hero} touched his head. his fur was [soft and warm|so soft].",
    )
    t.say(
        '"i thought that you were bad," said {hero}. "but you were only [lonely|bored]."',
        '"why did i run away from you?" {hero} said and [laughed|hugged {dog}].',
    )
    t.say(
        "now {hero} visits {dog} every day, and {hero.he} always brings [a bone|a treat].",
        "from that day on, {dog} and {hero} were friends. and when {dog} barked, it meant hello.",
        "{hero} learned not to judge anyone by [his looks|a loud voice].",
    )


def skill(t: Teller) -> None:
    """Learning something new: it goes wrong, and goes wrong, and goes."""
    cast(t)
    t["skill"], t["fail"], t["did"], t["far"] = t.pick(SKILLS)
    opening(t)
    t.say(
        "{hero} wanted to learn to {skill}. {friend} could do it [so well|very well].",
        "all {hero.his} friends could {skill}. only {hero} could not.",
        '"i want to {skill}!" said {hero} [every day|again and again].',
    )
    t.say(
        day(t) + ' {hero.his} {adult.common} said, "today i will teach you." {hero} was so happy.',
        day(t) + " {hero} asked {hero.his} {adult.common} to help {hero.him}. {adult} said yes.",
    )
    t.say(
        "{hero} tried, but {hero.he} {fail}. [ouch|oh no]!",
        "the first time, {hero} {fail}. the second time, {hero.he} {fail} again.",
    )
    t.say(
        '"[it is too hard|i will never learn it|i cannot do it]!" {hero.he} [cried|said] and wanted to [give up|go home].',
        "{hero} [was angry|began to cry]. {hero.he} did not want to try any more.",
    )
    t.say(
        '"[i fell many times too|nobody can do it at once]," said {adult}. "you [cannot do it yet|need time]. try once more."',
        '{friend} came by and said, "[it took me a whole week|i {fail} twenty times]. do not give up!"',
    )
    t.say(
        "so {hero} tried again and again, [all week|day after day|until the evening].",
        "{hero} [got up|dried {hero.his} tears] and tried again. and every day it went a little better.",
    )
    t.maybe(
        0.5,
        "then, {adult} let go, and {hero} did not notice.",
        "then, on a [sunny|fine] morning, something was different.",
        "{hero} took a deep breath and thought of nothing else.",
    )
    t.say("{hero.he} {did} {far}!", "look! {hero} {did} {far}!", "and this time, {hero} {did} {far}.")
    t.say(
        '"[i can do it|look at me|i did it]!" {hero.he} [shouted|called|cried]. {friend} [clapped|cheered].',
        '"you did it!" called {adult}. {hero} [laughed|was so proud].',
    )
    t.say(
        "now {hero} and {friend} {skill} together every day.",
        "{hero} learned that you can do hard things if you do not give up.",
        'the next day, {hero} helped {friend} with something hard. "do not give up," {hero.he} said.',
    )


def way_home(t: Teller) -> None:
    """Lost after following something pretty; keeping calm and a kind guide lead home."""
    cast(t)
    t["place"] = t.pick((PLACES[2], PLACES[5], PLACES[6]))
    t["lure"] = t.pick(
        ("blue butterfly", "yellow butterfly", "little green frog", "red leaf in the wind", "white bird")
    )
    t["guide"] = t.pick(("old owl", "old turtle", "wise crow", "firefly", "gray goose"))
    t["sign"] = t.pick(
        ("a tall tree with a bird nest", "a stone like a bear", "a small bridge", "a red fence")
    )
    opening(t, t.pick(("curious", "little", "young", "happy")))
    t.say(
        '"do not go too far," {hero.his} {adult.common} always said.',
        "{hero} was playing {place.at} with {hero.his} {adult.common}.",
    )
    t.say(
        day(t) + " {hero} saw a {lure} and ran after it. on the way {hero.he} [passed|saw] {sign}.",
        day(t) + " {hero} followed a {lure}, past {sign}, farther and farther.",
    )
    t.say(
        "when {hero.he} [looked around|stopped], everything looked strange. {hero} was lost!",
        "then it was gone. {hero} looked around. where was [the path|home]?",
    )
    t.maybe(
        0.5,
        '"{adult}! {adult}!" {hero.he} called. [but nobody answered|only the wind answered].',
        "{hero} began to cry. [it was getting dark|the trees were so big|{hero.he} was all alone].",
    )
    t.say(
        '"[who is crying here|why do you cry|what is the matter]?" asked a voice. it was a {guide}.',
        'then a {guide} came by. "are you lost?" it asked.',
    )
    t.say(
        '"i cannot find my way home," said {hero}. "[stay calm|think]," said the {guide}. "what did you see on the way?"',
        '"yes," said {hero}. "i want to go home." "do you remember anything?" asked the {guide}.',
    )
    t.say(
        '{hero} thought hard. "i [saw|passed] {sign}!" {hero.he} said.',
        '"wait," said {hero}. "there was {sign}."',
    )
    t.maybe(
        0.5,
        '"i know where that is. [come with me|follow me]," said the {guide}.',
        'the {guide} nodded. "that is not far. [come|follow me]."',
    )
    t.say(
        "they went together, and soon {hero} saw {sign}. [from there {hero.he} knew the way|now {hero.he} knew the way].",
        "and there it was: {sign}! {hero} knew the way now.",
    )
    t.maybe(
        0.5,
        '"thank you!" {hero.he} called to the {guide} and ran home.',
        "{hero} thanked the {guide} and ran [home|all the way home].",
    )
    t.maybe(
        0.5,
        '{adult} was waiting [at the door|at the gate]. "[i was so worried|there you are]!" {adult.he} said and hugged {hero.him}.',
        "at home, {adult} took {hero.him} in {adult.his} arms.",
    )
    t.say(
        "{hero} never ran off alone again.",
        '"i will not go so far again," {hero} promised.',
        "and {hero} learned to look at the way when {hero.he} walks.",
    )
