"""Plots about things: lost, shared, broken, given, found."""

from __future__ import annotations

from models.grammar import Teller
from models.words import COLOURS, FOODS, HOUSE, PLACES, RELATIVES, SHE_ANIMALS, cast, day, opening, toy


def lost(t: Teller) -> None:
    """A toy is lost, looked for, and found where it was left."""
    cast(t)
    toy(t)
    outside = t.likely(0.6)
    place = t.pick(PLACES) if outside else HOUSE
    t["place"] = place
    first, second = t.two(place.spots)
    t["first"], t["second"] = first, second
    opening(t)
    t.say(
        "{hero} had a {thing}. {hero.he} loved to {thing.use}.",
        "{hero.he} had a {thing} and loved to {thing.use}.",
        "{hero.his} best toy was a {thing}. {hero.he} liked to {thing.use}.",
        "{hero.his} {adult.common} gave {hero.him} a {thing}, and {hero.he} loved to {thing.use}.",
    )
    t.say(
        day(t) + " the {thing.noun} was [gone|lost]. {hero} was very [sad|worried].",
        day(t) + " {hero} could not find the {thing}. [{hero.he} began to cry.|{hero.he} felt very sad.|]",
        day(t) + " {hero} [wanted to play with|looked for] the {thing}, but it was [gone|not there].",
    )
    t.say(
        '"[where is my {thing.noun}|oh no, where is my {thing.noun}|have you seen my {thing.noun}]?" [asked {hero}|{hero.he} asked|{hero} cried].',
        '"[my {thing.noun} is gone|i have lost my {thing.noun}|i cannot find my {thing.noun}]!" [said {hero}|{hero.he} said|{hero} cried].',
    )
    t["helper"] = t["friend"] if t.likely(0.5) else t["adult"]
    t["this"] = "friend {friend}" if t["helper"] is t["friend"] else "{adult.common}"
    t["this"] = t["this"].format(**t.slots)
    t.say(
        '"do not [cry|worry]," said {hero.his} {this}. "[we will find it|let us look for it|i will help you look]."',
        '{hero.his} {this} [took {hero.his} hand|gave {hero.him} a hug] and said, "[we will look together|i will help you|let us find it]."',
        '"[when did you see it last|where did you play with it|where did you have it last]?" asked {hero.his} {this}. "{place.at}," said {hero}.',
    )
    t.say(
        "[they looked|they went to look|first they looked] {first}, but the {thing.noun} was not there.",
        "they looked {first}. [there was no {thing.noun}|they found only an old shoe|nothing was there but a bug].",
        "{helper} looked {first} and found [nothing|only a stick|only dust and leaves].",
    )
    t.say(
        "then {hero} looked {second}, and there [it was|was the {thing}]!",
        'then {helper} looked {second}. "[look here|come and see|i see it], {hero}!" There was the {thing}.',
        "then {hero} saw something {thing.adjective} {second}. It was the {thing.noun}!",
    )
    if outside:
        t.maybe(
            0.7,
            "the wind had [blown|carried] it there.",
            "{hero} had [left|put] it there the day before.",
            "a [dog|bird|crow] had taken it there.",
        )
    else:
        t.maybe(
            0.7,
            "it had [fallen|rolled] there in the night.",
            "{hero} had [left|put] it there the day before.",
            "the [cat|puppy] had [hidden|put] it there.",
        )
    t.say(
        "{hero} was so happy that {hero.he} [jumped up and down|danced around|laughed out loud].",
        '{hero} [hugged|gave a big hug to] {helper}. "thank you for [your help|helping me]!" {hero.he} said.',
        '"[thank you|thank you so much], {helper}!" said {hero} [with a big smile|and smiled|and hugged {helper.him}].',
    )
    t.say(
        "from that day on, {hero} [always put|kept] the {thing.noun} [in a safe place|back in its place|next to {hero.his} bed].",
        "after that, {hero} [always took care of|never again lost] {hero.his} {thing.noun}.",
        "that night, {hero} [slept with the {thing.noun} in {hero.his} arms|put the {thing.noun} by {hero.his} bed and slept well].",
    )


def share(t: Teller) -> None:
    """A friend has nothing to eat; sharing makes both happy."""
    cast(t)
    t["food"] = t.pick(FOODS)
    t["size"] = t.pick(("big", "sweet", "fresh", "good", "nice"))
    greedy = t.likely(0.5)
    opening(t)
    t.say(
        day(t) + " {hero.his} {adult.common} gave {hero.him} a {size} {food}.",
        day(t) + " {hero} got a {size} {food} from {hero.his} {adult.common}.",
        "{hero} loved to eat. " + day(t) + " {hero.he} had a {size} {food} for lunch.",
    )
    t.say(
        "{hero} took it to {place} and sat down [under a tree|on a rock|in the sun|on the grass] to eat.",
        "{hero.he} went to {place} to eat it in the [sun|shade|fresh air].",
        "{hero.he} sat down {place.at} and wanted to take a [big|first] bite.",
    )
    t.say(
        "then {friend} came by. {friend.he} looked [sad|tired|cold] and had [nothing to eat|no food].",
        "there {hero.he} met {friend}. {friend} had [lost {friend.his} lunch|no lunch|nothing to eat] and was very hungry.",
        "a {friend.kind} named {friend} was there too. {friend.he} was hungry and looked at the {food}.",
    )
    t.say(
        '"[i am so hungry|my tummy is empty|i have no lunch today]," said {friend}. "[may i have a bite|can i have some of your {food}|will you share with me]?"',
        '"[that {food} looks good|what a nice {food}]," said {friend}. "[can i have a bite|may i have some]?"',
    )
    if greedy:
        t.say(
            '"no, [it is mine|this is my {food}|i want it all]," said {hero}. {friend} [walked away|went away] with [a sad face|tears in {friend.his} eyes|{friend.his} head down].',
            '{hero} held the {food} tight. "no, it is [mine|all for me]!" {friend} [sat down and cried|turned away and was sad].',
        )
        t.say(
            "{hero} [ate a little|took a bite], but the {food} did not taste good any more. {hero.he} felt [bad|sorry|sad inside].",
            "{hero} looked at the {food} and felt [bad|sorry]. it was no fun to eat alone.",
        )
        t.say(
            '{hero} ran after {friend}. "[i am sorry|please wait]," {hero.he} said. "[we can share|you can have half|let us eat it together]."',
            'so {hero} called, "{friend}, come back! [i am sorry|i was not kind]. [let us share|half of it is for you]."',
        )
    else:
        t.say(
            "{hero} thought [for a moment|about it]. {hero.he} was hungry too, but {hero.he} [wanted to be kind|did not like to see {friend} sad].",
            '"[of course|yes, of course]!" said {hero}. "[there is enough for two|a {food} is best with a friend|we can share it]."',
        )
    t.say(
        "{hero.he} [broke|cut] the {food} in two and gave [one half|the bigger half|a big piece] to {friend}.",
        "they [broke|cut] the {food} into two [pieces|halves], one for {hero} and one for {friend}.",
    )
    t.maybe(
        0.5,
        '"thank you! [you are a good friend|this is so good|you are very kind]," said {friend}.',
        "{friend} smiled and ate [it all|every bit of it]. [now {friend.he} was not hungry any more.|]",
    )
    t.maybe(
        0.6,
        "the next day, {friend} brought [some nuts|a bag of berries|two plums] and shared [them|all of them] with {hero}.",
        "then they played {place.at} until [the sun went down|it was time to go home].",
    )
    t.say(
        "{hero} learned that [sharing makes food taste better|it is good to share|sharing makes everyone happy].",
        "{hero} was happy, because [half a {food} with a friend is better than a whole one alone|a shared {food} tastes best].",
        "from then on, {hero} and {friend} [shared all their food|always shared their lunch|were best friends].",
    )


def broken(t: Teller) -> None:
    """Something breaks; telling the truth mends more than glue."""
    cast(t)
    t["thing"] = t.pick(("cup", "vase", "plate", "lamp", "pot", "bowl", "clock", "window"))
    t["colour"] = t.pick((*COLOURS, "old", "pretty"))
    fixable = t["thing"] != "window"
    t["how"] = t.pick(("ran", "danced", "jumped", "played with a ball"))
    hides = t.likely(0.5) and fixable
    opening(t, t.pick(("little", "wild", "happy", "young", "funny")))
    t.say(
        "{hero.his} {adult.common} had a {colour} {thing} and [loved it very much|was very proud of it].",
        "{hero.his} {adult.common} had told {hero.him} not to [run|play|jump] near the {colour} {thing}.",
        "in {hero.his} house there was a {colour} {thing}. {adult} liked it [a lot|very much].",
    )
    t.say(
        day(t) + " {hero} {how} in the house. [crash|bang|oh no]! The {thing} [broke|was broken].",
        day(t) + " {hero} {how} in the room and hit the {thing}. It [broke|broke with a loud noise].",
        day(t) + " it rained, and {hero} {how} inside. [bump|crash]! The {thing} broke.",
    )
    t.maybe(
        0.5,
        "{hero} was [scared|afraid]. {hero.he} did not want {adult} to be [angry|sad].",
        '{hero.his} heart beat fast. "[what have i done|what will {adult} say]?" {hero.he} thought.',
        "{hero} looked at the pieces and [felt very bad|wanted to cry].",
    )
    if hides:
        t.say(
            "{hero.he} [hid|put] the pieces [under the bed|in a box|behind the sofa] and said nothing.",
            "so {hero.he} put the pieces in a bag and hid [it|the bag] [under the table|behind the door].",
        )
        t.say(
            '"where is my {thing}?" asked {adult}. {hero} looked at [the floor|{hero.his} feet]. "i do not know," {hero.he} said.',
            'at dinner, {adult} asked, "who has seen my {thing}?" {hero} [said nothing|could not eat].',
        )
        t.maybe(
            0.5,
            "that night, {hero} could not sleep. the lie felt like a [stone|big stone] in {hero.his} tummy.",
            "{hero} felt bad all day. {hero.he} did not even want to play.",
        )
        t.say(
            'at last {hero} went to {adult}. "i broke your {thing}," {hero.he} said. "i am [so|very] sorry."',
            'in the end, {hero} told the truth. "it was me, {adult}. i broke the {thing}. i am sorry."',
        )
    else:
        t.maybe(
            0.5,
            "{hero} wanted to hide the pieces. but {hero.he} knew that [it was wrong|it was better to tell the truth].",
            "{hero} could say that the [cat|dog|wind] did it. but that was not true.",
        )
        t.say(
            '{hero.he} went to {adult} and said, "i am [so|very] sorry. i broke the {thing}."',
            '"{adult}, i [have to tell you something|did something bad]," said {hero}. "i broke the {thing}. i am sorry."',
        )
    t.say(
        '{adult} [was quiet for a moment|looked at the pieces]. then {adult.he} said, "[thank you for telling me|i am glad that you told me the truth]."',
        '{adult} was sad, but {adult.he} was not angry. "[you told the truth, and that was brave|thank you for telling me the truth]," {adult.he} said.',
    )
    if fixable:
        t.say(
            "they got some glue and [fixed|mended] the {thing} together. it [had a crack, but it was still pretty|looked almost like new].",
            "together they put the pieces back with glue. soon the {thing} was [whole again|almost like new].",
        )
    else:
        t.say("{hero} helped {adult} to [clean up the glass|put in a new window].")
    t.say(
        "{hero} learned that [it is best to tell the truth|the truth is better than a lie|everyone makes mistakes].",
        "after that, {hero} [was always careful in the house|played outside when {hero.he} wanted to run].",
        "{hero} hugged {adult} and felt [light|happy|good] again.",
    )


def gift(t: Teller) -> None:
    """A present made by hand is the best."""
    cast(t)
    t["adult"] = t.pick(RELATIVES)
    t["gift"], t["need"] = t.pick(
        (
            ("card", "paper and paint"),
            ("necklace", "string and shells"),
            ("picture", "paper and paint"),
            ("basket", "long grass"),
            ("cake", "flour, eggs and honey"),
            ("scarf", "soft wool"),
            ("song", "an old drum"),
            ("bird house", "wood and nails"),
        )
    )
    opening(t)
    t.say(
        "it was almost {hero.his} {adult.common}'s birthday. {hero} wanted to give {adult.him} [something nice|a present|a gift].",
        "{hero} loved {hero.his} {adult.common} very much. tomorrow was {adult}'s birthday, and {hero} [had no gift|needed a gift].",
    )
    t.say(
        "but {hero} had no [money|coins]. what could {hero.he} do?",
        "{hero.he} looked in {hero.his} [pocket|money box]. it was empty.",
        "at the shop, everything cost too much. {hero} was [sad|worried].",
    )
    t.say(
        '{hero.he} asked {hero.his} friend {friend}, "what can i give to {adult}?" "[make something|you can make it yourself]," said {friend}.',
        'then {friend} [came by|came to visit]. "you do not need money," {friend.he} said. "[you can make a gift|the best gifts are made by hand]."',
    )
    t.say(
        'so {hero} had an idea. "i will make a {gift}!" {hero.he} said.',
        '"i know!" said {hero}. "i can make a {gift} for {adult}."',
    )
    t.say(
        "{hero.he} [got|found] {need} and [worked all day|began to work|went to work].",
        "{hero} and {friend} looked for {need}. then they [worked all day|began to work].",
    )
    t.maybe(
        0.6,
        "it was hard, and the first one [went wrong|was not good]. but {hero} [tried again|did not give up].",
        "it took a long time, but {hero} did not stop.",
        "{friend} helped {hero.him} [a little|with the hard part].",
    )
    t.say(
        'the next [day|morning], {hero} gave the {gift} to {adult}. "happy birthday!" {hero.he} said.',
        'on the birthday, {hero} [ran|went] to {adult}. "this {gift} is for you. i made it myself!"',
    )
    t.say(
        '{adult} [smiled|had tears in {adult.his} eyes|was so happy]. "this is the best gift [of all|i ever got]!" {adult.he} said.',
        '"a {gift}! [it is beautiful|how wonderful]," said {adult}, and gave {hero} a [kiss|big hug].',
    )
    t.say(
        "{hero} was [proud and happy|very proud]. a gift made with love is better than [money|gold|anything from a shop].",
        "{hero} learned that the best gifts come from the heart.",
        "then they all [had lunch|danced] together, and {adult} [loved the {gift}|thought that it was the best day of the year].",
    )


def box(t: Teller) -> None:
    """A noise, a box, and a small animal that needs a home."""
    cast(t, animals=False)
    t["pet"] = t.pick(("kitten", "puppy", "little duck", "baby rabbit", "small owl", "young crow"))
    t["sound"] = t.pick(("a soft cry", "a small voice", "a scratching sound", "a funny noise"))
    t["box"] = t.pick(("old box", "brown bag", "wooden box", "basket"))
    t["name"] = t.pick(SHE_ANIMALS)
    t["spot"] = t.pick(t["place"].spots)
    opening(t)
    t.say(
        "{hero} [was often alone|had no brothers or sisters] and [wished for|dreamed of] a pet.",
        "{hero} loved animals, but {hero.he} had no pet.",
        "more than anything, {hero} wanted a pet [to play with|to take care of].",
    )
    t.say(
        day(t)
        + " {hero} [was|walked|played] {place.at} [with {hero.his} {adult.common}|with {friend}|alone]. {hero.he} heard {sound}.",
        day(t) + " on the way to {place}, {hero} heard {sound}.",
    )
    t.maybe(
        0.5,
        '"what is that?" {hero.he} [asked|said]. the noise came from somewhere near.',
        "{hero} stopped and listened. there it was again!",
    )
    t.say(
        "{hero.he} looked {spot} and found a {box}. [slowly|very carefully], {hero.he} opened it.",
        "there was a {box} {spot}. it moved! {hero} [opened it slowly|looked inside].",
    )
    t.say(
        "inside was a {pet}! it was [cold and hungry|wet and afraid|all alone].",
        "two big eyes looked at {hero.him}. it was a {pet}, [cold and hungry|small and afraid].",
    )
    t.say(
        '"poor little thing," said {hero}. {hero.he} [put it in {hero.his} coat|took it in {hero.his} arms|held it close] and [ran|went] home.',
        "{hero} wrapped the {pet} in {hero.his} [scarf|coat] and took it home.",
    )
    t.say(
        '{hero.his} {adult.common} gave it [warm milk|some food and water]. "can we keep it?" asked {hero}.',
        '"{adult}, [it has no home|it is all alone]," said {hero}. "[can it stay|may i keep it]?"',
    )
    t.say(
        '{adult} thought about it. "you must [feed it every day|take good care of it]," {adult.he} said. "i [will|promise]!" said {hero}.',
        '"a pet is a lot of work," said {adult}. "i will [do it all|feed it every day]," said {hero}. "then it can stay," said {adult}.',
    )
    t.say(
        "{hero} named the {pet} {name}. [every day|from that day on], they [played|ate and played] together.",
        "so the {pet} got a name, {name}, and a [warm bed|soft bed] next to {hero}.",
    )
    t.maybe(
        0.5,
        "now {hero} was [not alone any more|never alone], and {name} had a home.",
        "{hero} had a pet at last, and {name} had a [friend|family].",
        "{name} grew big and strong, and {hero} [loved her|took care of her] every day.",
    )
