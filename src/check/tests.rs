use super::*;

/// Statement | evidence | what is at fault.
const CASES: &str = "
    12 men left with two dogs. | Twelve men left with 2 dogs. |
    The mill made 1,200,000 bricks and 26 000 tiles. | It made 1.2 million bricks and 26,000 tiles. |
    Two hundred and six people came on the 21st day. | On the twenty-first day, 206 came. |
    Half a million people paid $4m. | They were 500,000 and paid 4 million dollars. |
    Two-thirds agreed and a quarter did not. | 66 percent agreed, 25% did not. |
    A third of the cattle died. | A quarter of the cattle died. | Number third
    One in nine fell ill. | About 11 percent fell ill. |
    The trip took two and a half hours. | The trip took 2.5 hours. |
    Nearly 500 came. | There were 482 guests. |
    About 700 came. | There were 482 guests. | Number 700
    It waited twelve months and ten years. | It waited a year, and then a decade. |
    He came three days sooner. | He came in two days and she in five. |
    The road is 50km long. | The road is 50 miles, or 80 kilometres, long. |
    It cost 3.5 million. | It cost 35 million. | Number 3.5 million
    The first of them said once that one should wait. | They said that people should wait. |
    Both left, and a third one stayed. | Two left and three stayed. |
    Ten seconds were enough. | It took 10 seconds. |
    It opened on 3 June 1979. | It opened on June 3rd, 1979. |
    It opened on 3 June 1979. | It opened on 4 July 1978. | Date 3, Date June, Date 1979
    It opened on 3 June 1979. | It opened on 03/06/1979. |
    It opened on 03/06/1979. | It opened on 3 June 1979. |
    It opened on 03/07/1979. | It opened on 3 June 1979. | Date 07
    They left on Sept. 4 and met every Monday. | On September 4 they left; Mondays they met. |
    They left on a Monday. | They left on a Tuesday. | Date Monday
    In March they asked Theresa May. | They asked Theresa May in April. | Date March
    He may march in May. | He might walk in May. |
    Prices fell in the 1990s. | Prices fell in 1994. |
    Prices fell in the 1990s and in 1985. | Prices fell from the 1980s on. | Date 1990s, Date 1985
    It dates from the 19th century. | It was built in 1842. |
    It dates from the 18th century. | It was built in 1842. | Date 18th century
    It lasted until 1918. | It lasted from 1915-18. |
    The flight of Ines Calloway was long. | The flight of Petra Lindqvar was long. | Name Ines Calloway
    Mr. Oduya's brother met the Italians there. | Oduya met people from Italy. |
    The hill at Elm-wood is Swiss. | Elmwood lies in Switzerland. |
    It was built by NASA for the B-52. | The National Aeronautics and Space Administration built it. | Name B-52
    It was found by President Keswick. | Bruno Keswick found it, said the president. |
    Then they fought in World War II. | They fought in the Second World War. |
    The Mayor Opened The Old Bridge. | A bridge was opened. |
    Das Haus wurde mit dem Geld der Bank und der Stadt gekauft. | Das Geld kam und das Haus wurde gekauft. |
    The bank did not close its doors. | The bank closed its doors in May. | Negation not
    The bank closed its doors. | The bank never closed its doors. | Negation not
    The seeds failed to sprout. | The seeds did not sprout. |
    The seeds have not failed to sprout. | The seeds failed to sprout. | Negation not
    The filter removes lead. | The filter removes lead but not salt. |
    The law was abolished in 1790. | The law was not abolished until 1790. |
    The law wasn't only unfair. | The law was unfair. |
    No claim requires a photograph. | Every claim requires a photograph. | Negation No
    See No. 7 of the series of claims. | See number 7 of the series of claims. |
    Nobody wanted cheaper bread. | Soldiers guarded the engine house. |
";

#[test]
fn tells_what_the_evidence_lacks() {
    for case in CASES.trim().lines() {
        let [statement, evidence, lacking] = case.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{case}");
        };
        let found = faults(statement, &[evidence], "");
        let found: Vec<_> = found.iter().map(|f| format!("{:?} {}", f.kind, f.text)).collect();
        assert_eq!(found.join(", "), lacking, "{case}");
        assert_eq!(faults(statement, &[statement], ""), []);
    }
}

#[test]
fn all_evidence_and_the_title_count() {
    let evidence = ["The dam at Pellow broke.", "It was built in 1912."];
    assert_eq!(faults("The dam at Pellow on the Tamsin is of 1912.", &evidence, "Tamsin"), []);
    assert_eq!(faults("", &[], ""), []);
}
