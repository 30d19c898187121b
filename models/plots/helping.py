"""Plots about helping: a fallen bird, someone stuck, someone lost, a favour returned, a heavy load."""

from __future__ import annotations

from models.grammar import Teller
from models.words import PLACES, cast, day, opening, toy


def bird(t: Teller) -> None:
    """A young bird has fallen from its nest and is brought back; it sings its thanks."""
    cast(t)
    t["place"] = t.pick((PLACES[0], PLACES[1], PLACES[2], PLACES[4]))
    t["tool"] = t.pick(("a ladder", "a long rope", "a tall chair"))
    opening(t, t.pick(("kind", "gentle", "little", "good")))
    t.say(
        "{hero} loved to [listen to the birds|hear the birds sing] {place.at}.",
        "there was a bird nest in a [tall|big|old] tree {place.at}. {hero} looked at it every day.",
    )
    t.say(
        day(t) + " {hero} heard a [small|sad|tiny] peep. a baby bird [had fallen|fell] out of the nest!",
        day(t) + " {hero} saw something small in the grass. it was a baby bird! it had fallen from its nest.",
    )
    t.maybe(
        0.5,
        "the little bird [was afraid|was cold and afraid|shook with cold]. its mother [flew around and cried|called from the tree].",
        '"peep, peep!" said the baby bird. it could not fly [yet|home].',
    )
    t.maybe(
        0.5,
        '"do not be afraid," said {hero}. "i will [help you|bring you home|take you home]."',
        '"[poor bird|you poor little thing]," said {hero}. {hero.he} [held it in {hero.his} hands|put it in {hero.his} hat] [very carefully|to keep it warm].',
    )
    t.say(
        "{hero} looked up. the nest was too high. {hero.he} could not reach it.",
        "but the tree was [so tall|too tall]. how could {hero} get up there?",
    )
    t["helper"] = t["friend"] if t.likely(0.5) else t["adult"]
    t.say(
        '{hero} ran to {helper}. "[please help|come quickly]! a baby bird fell from its nest!"',
        'so {hero.he} called {helper}. "we need {tool}," said {helper}.',
    )
    t.say(
        "{helper} [brought|got] {tool} and held it. {hero} climbed up, [step by step|slowly and carefully].",
        "they got {tool}. {helper} [held it|stood below], and {hero} climbed up to the nest.",
    )
    t.say(
        "{hero.he} put the baby bird back [next to its brothers|in the warm nest]. the mother bird [sang for joy|was so happy].",
        "at the top, {hero.he} put the little bird into the nest. the mother bird [sang|flapped her wings].",
    )
    t.maybe(0.5, '"[well done|you are a hero], {hero}!" said {helper}.', '"now it is safe," said {helper}.')
    t.say(
        "[every morning|from that day on], the bird [came and sang|sang] at {hero}'s window.",
        "some weeks later, the little bird could fly. it flew around {hero} and sang [a song|to say thank you].",
        "{hero} went home [happy|with a happy heart], and the birds sang [all day|all the way].",
    )


def stuck(t: Teller) -> None:
    """A pet is stuck in a high place; cleverness gets it down."""
    cast(t, animals=False)
    t["pet"] = t.pick(("cat", "kitten", "kite"))
    t["tree"] = t.pick(("the tall tree", "the old tree", "the roof", "the wall"))
    living = t["pet"] != "kite"
    if living:
        t["name"] = t.pick(("Momo", "Snow", "Tiger", "Socks", "Fluffy"))
        opening(t)
        t.say(
            "{hero} had a {pet} named {name}. they [played together every day|were good friends].",
            "{hero} loved {hero.his} {pet}. the {pet} was called {name}.",
        )
        t.say(
            day(t)
            + " a [big|loud] dog [came by|barked]. {name} was so afraid that she [ran|climbed] up {tree}.",
            day(t) + " {name} ran after a bird and climbed up {tree}. then she could not get down.",
        )
        t.say(
            '"meow!" cried {name}. "come down, {name}!" called {hero}. but {name} was too [scared|afraid].',
            "{name} looked down and cried. it was so high! {hero} [called and called|did not know what to do].",
        )
        t.maybe(
            0.5,
            '{hero} tried to climb up too, but [it was too high|{hero.he} slipped]. "[stop, that is dangerous|be careful]," said {hero.his} friend {friend}.',
            "{hero} jumped, but {hero.he} was too small to reach her.",
        )
        t.say(
            '{hero.his} friend {friend} said, "let us [ask your {adult.common}|get your {adult.common}]." so they ran to {adult}.',
            "{hero} ran home and asked {hero.his} {adult.common} for help.",
        )
        t.say(
            '{adult} [came with|brought] a ladder. {hero} held up a [bowl of milk|piece of fish]. "look, {name}!"',
            "{adult} came and put a ladder up to {tree}. {hero} held a [fish|bowl of milk] so that {name} could smell it.",
        )
        t.say(
            "slowly, {name} [climbed down|came down], step by step, [right into {hero}'s arms|and jumped into {hero}'s arms].",
            "{adult} climbed up and took {name} in {adult.his} arms. soon she was [safe|down on the ground].",
        )
        t.maybe(
            0.5,
            '"[i was so worried|i am so glad], {name}," said {hero} and [kissed|hugged] her.',
            "{hero} held {name} close. {hero.he} could hear her purr.",
        )
        t.maybe(
            0.5,
            '"thank you, {adult}!" {hero} said. "it is [good|smart] to ask for help," said {adult}.',
            "{friend} clapped, and {adult} [smiled|laughed].",
        )
        t.say(
            "that night, {name} slept [at {hero}'s feet|on {hero}'s bed] and did not climb any more.",
            "from then on, {name} stayed away from {tree}.",
            "{name} drank all the milk and fell asleep in {hero}'s arms.",
        )
        return
    toy(t, only=("kite",))
    opening(t)
    t.say(
        "{hero} had a {thing}. {hero.he} loved to {thing.use}.",
        "{hero.his} {adult.common} made {hero.him} a {thing}, and {hero} loved it.",
    )
    t.say(
        day(t)
        + " {hero} and {hero.his} friend {friend} went to {place} with the kite. the wind was [strong|very strong].",
        day(t) + " the wind was good, so {hero} took the kite to {place}. {friend} came too.",
    )
    t.say(
        "the kite flew [higher and higher|up and up]. then the string broke, and the kite [landed|got stuck] on {tree}.",
        "suddenly a gust of wind pulled the kite away. it got stuck on {tree}.",
    )
    t.maybe(
        0.5,
        '"oh no, my kite!" cried {hero}. it was too high for {hero.him}.',
        "{hero} jumped and jumped, but {hero.he} could not reach it.",
    )
    t.say(
        "{friend} threw a [stick|ball] at it, but [that did not help|it did not move|the kite stayed where it was].",
        '{friend} said, "sit on my back." but they were still too small.',
    )
    t.say(
        "then {hero} had an idea. {hero.he} [got a long stick|tied two sticks together].",
        '"[wait, i know|i have an idea]!" said {friend}. "we need [a long stick|the rake from the garden]."',
    )
    t.say(
        "{hero} [pushed|poked] the kite once, twice, three times. then it [fell down|came down]!",
        "they held it up together and pushed. slowly, the kite came [loose|free] and fell into {hero}'s arms.",
    )
    t.maybe(
        0.5,
        "there was a small [hole|tear] in it, but {adult} [fixed|mended] it that evening.",
        "{hero} tied a new, strong string to it.",
    )
    t.say(
        "the next day, the {thing} [flew|danced] in the sky again, and {friend} held the string.",
        '"together we can do anything," said {friend}, and {hero} [laughed|agreed].',
        "after that, {hero} and {friend} flew the kite where there were no trees.",
    )


def little_one(t: Teller) -> None:
    """A small animal has lost its mother; the hero helps it to find her."""
    cast(t)
    t["baby"], t["mother"], t["cry"] = t.pick(
        (
            ("lamb", "sheep", "baa"),
            ("chick", "hen", "peep"),
            ("calf", "cow", "moo"),
            ("duckling", "duck", "quack"),
            ("puppy", "dog", "woof"),
        )
    )
    t["place"], t["other"] = t.two(PLACES)
    t["sight"], t["second"] = t.pick(t["other"].sights), t.pick(t["place"].sights)
    opening(t, t.pick(("kind", "little", "brave", "good")))
    t.say(
        day(t) + " {hero} [went|walked] to {place}. {hero.he} [met|saw] a {baby} that was all alone.",
        day(t)
        + ' {hero} was {place.at} and heard a [small|sad] voice. "{cry}, {cry}!" It was a little {baby}.',
    )
    t.say(
        '"why [are you crying|are you so sad], little {baby}?" asked {hero}. "[i lost|i cannot find] my mother," said the {baby}.',
        '"what is wrong?" asked {hero}. "{cry}! [i do not see my mother|i want my mother]," said the {baby}.',
    )
    t.maybe(
        0.5,
        '"[do not worry|do not cry]," said {hero}. "[we will find her|i will help you find her]."',
        '"come with me," said {hero}. "[we will look for her together|i know how it feels to be lost]."',
    )
    t.maybe(
        0.5,
        "first they [went|walked] to {other}. there they saw {sight}, but no {mother}.",
        "they looked [everywhere|left and right]. they saw {second}, but [no {mother}|not the {mother}].",
    )
    t.say('then they met {friend.full}. "have you seen a {mother}?" {hero} asked.')
    t["clue"] = t.pick(t["other"].spots)
    t.say(
        '"yes," said {friend}. "there is a {mother} {other.at}, {clue}. she [looked very sad|was calling for someone]."',
        '{friend} [thought about it|nodded]. "i [saw|heard] one {other.at}, {clue}," {friend.he} said.',
    )
    t.say(
        "they ran there as fast as they could.",
        "{hero} thanked {friend}, and they [ran|hurried] on.",
        "the {baby} was tired, so {hero} carried it.",
    )
    t.say(
        '"{cry}!" [called|cried] the {baby}. "{cry}!" [called|answered] someone. it was the mother!',
        "and there, {clue}, was the {mother}! the {baby} ran to her [as fast as it could|at once].",
    )
    t.maybe(
        0.5,
        '"my dear baby!" said the {mother}. "thank you, {hero}. [you have a good heart|i was so worried]."',
        "the {mother} [kissed|hugged] her {baby} and [thanked {hero}|thanked {hero} again and again].",
    )
    t.maybe(
        0.5,
        '"[stay close to your mother now|never run away again]," {hero} told the {baby}.',
        "the {baby} promised to stay close to its mother.",
        "the {baby} jumped for joy.",
    )
    t.say(
        "then {hero} went home and gave {hero.his} own mother a big hug.",
        "{hero} went home and was happy [all day|that everyone was where they belonged].",
        "{hero} often came to visit the {baby}, and they became good friends.",
    )


def favour(t: Teller) -> None:
    """A small one helps a big one who laughed about it."""
    cast(t, animals=True)
    t["big"] = t.pick(("bear", "lion", "wolf", "bull", "horse"))
    t["small"] = t["hero"]
    t["trap"], t["cut"] = t.pick(
        (
            ("a net", "bit through the ropes"),
            ("the mud", "brought a long stick and pulled"),
            ("a thorn bush", "pulled the thorns out one by one"),
            ("a hole", "brought stones to make steps"),
        )
    )
    opening(t, t.pick(("little", "tiny", "small")))
    t.say(
        day(t) + " {hero} woke up a big {big} who was asleep.",
        day(t) + " {hero} [met|came to] a big {big} {place.at}.",
        "near {hero}'s home lived a [big|huge] {big}. everybody was afraid of him.",
    )
    t.say(
        '"[go away, little one|go away from here]!" said the {big}. "[you are so small|i could eat you up]!"',
        'the {big} was angry and said, "you are too small to [talk to me|be my friend]!"',
    )
    t.say(
        '"[i am small, but i can help you one day|please let me go, and one day i will help you]," said {hero}.',
        '"small friends are good friends too," said {hero}. "one day you may need me."',
    )
    t.maybe(
        0.5,
        'the {big} laughed [and laughed|out loud]. "you, help me?" But he let {hero} go.',
        '"ha ha!" laughed the {big}. "how could you help me?" But he let {hero.him} go.',
    )
    t.say(
        "one day, {hero} heard [a loud cry|a loud roar|someone call for help]. the {big} was stuck in {trap}!",
        "[soon after|one night], the {big} fell into {trap}. he could not get out.",
    )
    t.maybe(
        0.5,
        "he pulled and pulled, but it only got worse.",
        "the more he [pulled|fought], the worse it got.",
        '"[help|help me]!" cried the {big}. but all the big animals were far away.',
    )
    t.say(
        '"[stay still|do not move]," said {hero}. {hero.he} {cut}. it took a long time.',
        "{hero} came at once. {hero.he} {cut}, and {hero.he} did not [stop|rest].",
    )
    t.maybe(
        0.5,
        "{hero.his} friend {friend} came and helped too.",
        "{hero} was tired, but {hero.he} did not give up.",
    )
    t.say("at last, the {big} was free.", "in the end, the {big} could get out. he was free!")
    t.say(
        '"[i was wrong|forgive me]," said the {big}. "you are small, but you [are a great friend|have a big heart]. thank you."',
        'the {big} [looked at the ground|was ashamed]. "i laughed at you, and you helped me," he said. "thank you, {hero}."',
    )
    t.say(
        "from that day on, the [big {big} and little {hero}|{big} and {hero}] were friends.",
        "now {hero} rides on the {big}'s back, and nobody laughs at [{hero.him}|small friends].",
        "even the smallest friend can be a big help.",
    )


def load(t: Teller) -> None:
    """Something heavy will not move until everybody pulls together."""
    cast(t)
    t["load"], t["where"] = t.pick(
        (
            ("pumpkin", "in the garden"),
            ("turnip", "in the garden"),
            ("cart", "in the mud"),
            ("log", "on the path"),
            ("stone", "on the path"),
            ("barrel", "on the road"),
        )
    )
    pulls = t.pick(("pulled and pulled", "pulled with all {hero.his} strength", "pushed and pulled"))
    opening(t)
    t.say(
        day(t)
        + " {hero} found a [big|huge|heavy] {load} {where}. {hero.he} wanted to [take it home|move it].",
        day(t)
        + " {hero.his} {adult.common} asked {hero.him} to bring the [big|heavy] {load} that was {where}.",
    )
    t.say("{hero} " + pulls + ", but the {load} did not move.", "{hero} " + pulls + ". but it was too heavy.")
    t.say(
        '"[i cannot do it|it is too heavy] alone," said {hero}. {hero.he} called {hero.his} friend {friend}.',
        'then {friend} came by. "can you help me?" asked {hero}. "[of course|yes, i can]!" said {friend}.',
    )
    t.maybe(
        0.5,
        "{hero} pulled and {friend} pushed. the {load} moved [a little bit|only a little], and then it stopped.",
        "now they pulled together, but the {load} [still did not move|moved only a little].",
    )
    t.say(
        'so they called {adult}. "[let us try together|we need you]," said {friend}.',
        '{adult} [came out|heard them] and helped too. "[one, two, three, pull|all together now]!" {adult.he} said.',
    )
    t["tiny"] = t.pick(("mouse", "ant", "bird", "beetle"))
    t.maybe(
        0.5,
        "all three pulled, but the {load} was [stuck|still too heavy].",
        "they were three now, but it was still not enough.",
    )
    t.say(
        'then a little {tiny} said, "[i can help|let me help you]." "you are too small," said {friend}.',
        'a little {tiny} came. "[i am small, but i am strong|i want to help]," it said.',
    )
    t.say(
        '"every bit helps," said {hero}. so they all pulled: {hero}, {friend}, {adult} and the {tiny}.',
        '"yes, please," said {hero}. "one, two, three!" They all pulled together.',
    )
    t.say(
        "[and look|pop|hooray]! the {load} [moved|came loose], and they all fell [down on the grass|on their backs] and laughed.",
        "and this time, the {load} [moved|came loose]!",
    )
    t.maybe(
        0.5,
        '"thank you, little {tiny}," said {hero}. "[you made the difference|without you, we could not have done it]."',
        "they thanked the {tiny}. without it, they would not have been strong enough.",
    )
    t.say(
        "together we are strong.",
        "{hero} learned that nobody is too small to help.",
        "that evening, they all had [soup|a big dinner] together, and the {tiny} had a place at the table.",
    )
