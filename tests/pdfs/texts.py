"""Texts for the corpus, written for it. Each is a list of paragraphs."""

ENGLISH = [
    "The lamp of the old ferry house burned until the last boat had crossed. Nobody in the village "
    "could say who had first lit it, but the officer who kept the books wrote down the oil it used "
    "on every night of the year.",
    "In the spring the flood came over the fields, and the ferryman moved the lamp to the attic. "
    "He said that five boats had found the shore by it, and that a sixth had drifted past in the "
    "fog and was never seen again.",
    "The difficult part was not the water but the wind. A flat boat with a full load of flour is "
    "slow to turn, and the current off the old pier is swift. Those who crossed often learned to "
    "wait for the bell before they cast off.",
    "When the bridge was finished the ferry lost its purpose. The council paid the ferryman a small "
    "pension, affixed a plaque to the wall of the house, and sold the boat to a baker in the next "
    "valley, who kept his firewood in it.",
    "Years later a student of engineering asked to see the books. She found that the lamp had used "
    "less oil in the years of war, which surprised her, and that the handwriting had changed only "
    "twice in ninety years.",
    "Her report, which was read by few, suggested that the ferry had carried more than forty "
    "thousand people between 1871 and 1958. It is the only figure that we have, and it may well be "
    "too low: children crossed without paying, and so did the post.",
]
ENGLISH_WORDS = ["the old ferry house burned until", "is swift", "affixed a plaque", "her report"]

GERMAN = [
    "Die Lampe am alten Fährhaus brannte, bis das letzte Boot übergesetzt hatte. Niemand im Dorf "
    "wusste, wer sie zuerst angezündet hatte, aber der Schreiber trug jede Nacht ein, wie viel Öl "
    "sie verbrauchte.",
    "Im Frühjahr stand das Hochwasser auf den Feldern. Der Fährmann trug die Lampe auf den Dachboden "
    "und hörte die ganze Nacht auf das Rauschen vor der Tür. Größere Schäden gab es nicht.",
]
GERMAN_WORDS = ["am alten Fährhaus brannte", "Größere Schäden"]

FRENCH = [
    "La lampe de la vieille maison du passeur brûlait jusqu'à ce que la dernière barque eût "
    "traversé. Personne au village ne savait qui l'avait allumée la première fois.",
    "Au printemps, l'eau monta jusqu'aux champs; le passeur porta la lampe au grenier, où elle "
    "éclaira la rivière entière.",
]
FRENCH_WORDS = ["la vieille maison du passeur", "au grenier"]

RUSSIAN = [
    "Лампа в старом доме паромщика горела, пока не переправлялась последняя лодка. Никто в деревне "
    "не знал, кто зажёг её первым.",
    "Весной вода вышла на поля, и паромщик перенёс лампу на чердак. Он говорил, что по её свету "
    "пять лодок нашли берег.",
]
RUSSIAN_WORDS = ["в старом доме паромщика", "пять лодок нашли берег"]

GREEK = [
    "Η λάμπα στο παλιό σπίτι του βαρκάρη έκαιγε ώσπου να περάσει και η τελευταία βάρκα. Κανείς στο "
    "χωριό δεν ήξερε ποιος την είχε ανάψει πρώτος.",
]
GREEK_WORDS = ["στο παλιό σπίτι του βαρκάρη", "την είχε ανάψει"]

ARABIC = [
    "كان المصباح في بيت المعبر القديم يضيء حتى يعبر آخر قارب. ولم يعرف أحد في القرية من أشعله أول مرة.",
    "في الربيع وصل الماء إلى الحقول ونقل صاحب القارب المصباح إلى العلية.",
]
ARABIC_WORDS = ["بيت المعبر القديم", "وصل الماء"]

HEBREW = [
    "המנורה בבית המעבורת הישן דלקה עד שעברה הסירה האחרונה. איש בכפר לא ידע מי הדליק אותה בראשונה.",
    "באביב עלו המים על השדות והמעבוראי העביר את המנורה לעליית הגג.",
]
HEBREW_WORDS = ["המעבורת הישן", "עלו המים על השדות"]

CHINESE = [
    "旧渡口的灯一直亮到最后一条船过河。村里没有人知道是谁最先点亮了它。",
    "春天，洪水漫过田野，摆渡人把灯搬到了阁楼上。他说有五条船靠着灯光找到了岸。",
]
CHINESE_WORDS = ["一直亮到最后一条船过河", "五条船靠着灯光找到了岸"]

JAPANESE = [
    "古い渡し場の灯りは、最後の舟が川を渡るまでともっていた。だれが初めにともしたのか、村の者はだれも知らなかった。",
    "春になると水が畑まで上がり、渡し守は灯りを屋根裏へ運んだ。",
]
JAPANESE_WORDS = ["最後の舟が川を渡るまで", "渡し守は灯りを屋根裏へ運んだ"]

KOREAN = [
    "오래된 나루터의 등불은 마지막 배가 강을 건널 때까지 켜져 있었다. 누가 처음 불을 붙였는지 마을 사람들은 아무도 몰랐다.",
]
KOREAN_WORDS = ["오래된 나루터의 등불은", "아무도 몰랐다"]

HINDI = [
    "पुराने घाट का दीपक आखिरी नाव के पार जाने तक जलता रहता था। गाँव में कोई नहीं जानता था कि उसे पहले किसने जलाया।",
]
HINDI_WORDS = ["पुराने घाट का दीपक"]

LONG = ENGLISH * 3
