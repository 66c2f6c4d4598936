//! What the words of a question ask of a chart, in several languages: a shape, none at all, or a kind of comparison.
//!
//! One table, [`PHRASES`]. Knows no columns and no rows. Words that mean something else as often as a chart (`bar`, `pie`, `line`, `share`)
//! count only within a phrase.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// What a question can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// No chart.
    Nothing,
    /// A chart of any shape.
    Any,
    /// This shape.
    Shape(Shape),
    /// How two measures hang together.
    Relation,
    /// One beside the other: two measures, or two of anything else.
    Versus,
    /// How the values of one measure are spread.
    Distribution,
    /// Parts of a whole.
    Share,
}

/// The shapes that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Line,
    Area,
    Bar,
    Pie,
    Scatter,
    Histogram,
}

/// What a question asks of its chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// It wants none.
    pub(super) refuses: bool,
    /// It wants one, by its shape or any.
    pub(super) wants: bool,
    /// The shape it names first.
    pub(super) shape: Option<Shape>,
    /// See [`Wish::Relation`].
    pub(super) relation: bool,
    /// See [`Wish::Versus`].
    pub(super) versus: bool,
    /// See [`Wish::Distribution`].
    pub(super) distribution: bool,
    /// See [`Wish::Share`].
    pub(super) share: bool,
}

impl Request {
    /// Reads `question`.
    pub(super) fn of(question: &str) -> Self {
        let text = folded(question);
        let mut request = Self::default();
        let mut first = usize::MAX;
        for (wish, phrases) in PHRASES {
            let Some(at) = phrases.iter().filter_map(|phrase| find(&text, phrase)).min() else { continue };
            match wish {
                Wish::Nothing => request.refuses = true,
                Wish::Any => request.wants = true,
                Wish::Relation => request.relation = true,
                Wish::Versus => request.versus = true,
                Wish::Distribution => request.distribution = true,
                Wish::Share => request.share = true,
                Wish::Shape(shape) => {
                    request.wants = true;
                    if at < first {
                        (first, request.shape) = (at, Some(*shape));
                    }
                }
            }
        }
        request
    }
}

/// In lower case, without accents and punctuation, every word between single spaces.
pub(super) fn folded(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&text.to_lowercase()).into_owned();
    let mut folded = String::from(" ");
    for letter in decomposed.chars().filter(|letter| !matches!(letter, '\u{300}'..='\u{36f}')) {
        if letter.is_alphanumeric() {
            folded.push(letter);
        } else if !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    if !folded.ends_with(' ') {
        folded.push(' ');
    }
    folded
}

/// Where `phrase` stands in a folded text. A `*` at either end lets the word there go on.
fn find(text: &str, phrase: &str) -> Option<usize> {
    let core = folded(phrase);
    let from = usize::from(phrase.starts_with('*'));
    let to = core.len() - usize::from(phrase.ends_with('*'));
    text.find(&core[from..to])
}

const PHRASES: &[(Wish, &[&str])] = &[
    (
        Wish::Nothing,
        &[
            "no chart*",
            "no graph*",
            "no plot*",
            "no diagram*",
            "without a chart",
            "without chart*",
            "without a graph",
            "without graph*",
            "without a plot",
            "don't plot",
            "don't chart",
            "don't draw",
            "do not plot",
            "do not chart",
            "do not draw",
            "kein diagramm*",
            "keine grafik*",
            "kein chart",
            "ohne diagramm*",
            "ohne grafik*",
            "ohne chart",
            "pas de graphique*",
            "sans graphique*",
            "pas de diagramme*",
            "sans diagramme*",
            "sin grafico*",
            "sin grafica*",
            "ningún gráfico",
            "senza grafic*",
            "nessun grafico",
            "sem grafico*",
            "nenhum gráfico",
            "geen grafiek*",
            "zonder grafiek*",
            "bez wykres*",
            "utan diagram",
            "inget diagram",
            "grafik olmadan",
            "без графика",
            "без диаграммы",
            "*不要图*",
            "*不需要图*",
            "*グラフなし*",
            "*グラフは不要*",
        ],
    ),
    (
        Wish::Any,
        &[
            "chart",
            "charts",
            "graph",
            "graphs",
            "plot",
            "plots",
            "plotted",
            "diagram",
            "visualize",
            "visualise",
            "visualization",
            "visualisation",
            "diagramm*",
            "grafik*",
            "schaubild*",
            "graphique*",
            "diagramme*",
            "grafico*",
            "grafica",
            "graficas",
            "grafici",
            "grafiek*",
            "wykres*",
            "график*",
            "диаграмм*",
            "*图表*",
            "*画图*",
            "*グラフ*",
            "*그래프*",
            "*차트*",
        ],
    ),
    (
        Wish::Shape(Shape::Line),
        &[
            "line chart*",
            "line graph*",
            "line plot*",
            "line diagram*",
            "as a line",
            "as lines",
            "time series",
            "liniendiagramm*",
            "als linie",
            "als linien",
            "courbe",
            "courbes",
            "graphique lineaire",
            "grafico de lineas",
            "gráfica de líneas",
            "grafico a linee",
            "grafico de linha*",
            "lijngrafiek*",
            "lijndiagram*",
            "linjediagram*",
            "wykres liniowy",
            "линейный график",
            "*折线图*",
            "*折れ線グラフ*",
            "*선 그래프*",
        ],
    ),
    (
        Wish::Shape(Shape::Area),
        &[
            "area chart*",
            "area graph*",
            "area plot*",
            "flächendiagramm*",
            "graphique en aires",
            "grafico de area*",
            "grafico ad area",
            "vlakdiagram*",
            "*面积图*",
            "*面グラフ*",
        ],
    ),
    (
        Wish::Shape(Shape::Bar),
        &[
            "bar chart*",
            "bar graph*",
            "bar plot*",
            "bar diagram*",
            "barchart*",
            "as bars",
            "column chart*",
            "balkendiagramm*",
            "säulendiagramm*",
            "als balken",
            "als säulen",
            "diagramme en barres",
            "diagramme à barres",
            "graphique en barres",
            "graphique à barres",
            "histogramme en barres",
            "grafico de barras",
            "gráfica de barras",
            "diagrama de barras",
            "grafico a barre",
            "staafdiagram*",
            "staafgrafiek*",
            "stapeldiagram*",
            "wykres słupkowy",
            "столбчат*",
            "*柱状图*",
            "*条形图*",
            "*棒グラフ*",
            "*막대 그래프*",
        ],
    ),
    (
        Wish::Shape(Shape::Pie),
        &[
            "pie chart*",
            "pie graph*",
            "pie diagram*",
            "as a pie",
            "donut chart*",
            "doughnut chart*",
            "kreisdiagramm*",
            "tortendiagramm*",
            "kuchendiagramm*",
            "camembert",
            "diagramme circulaire",
            "graphique circulaire",
            "grafico circular",
            "gráfica circular",
            "grafico de pastel",
            "gráfica de pastel",
            "grafico de torta",
            "grafico a torta",
            "grafico de pizza",
            "cirkeldiagram*",
            "taartdiagram*",
            "wykres kołowy",
            "круговая диаграмма",
            "круговой диаграм*",
            "*饼图*",
            "*円グラフ*",
            "*원 그래프*",
        ],
    ),
    (
        Wish::Shape(Shape::Scatter),
        &[
            "scatter*",
            "streudiagramm*",
            "punktdiagramm*",
            "punktwolke*",
            "nuage de points",
            "grafico de dispersión",
            "diagrama de dispersión",
            "grafico a dispersione",
            "grafico de dispersão",
            "spreidingsdiagram*",
            "wykres punktowy",
            "диаграмма рассеяния",
            "диаграмму рассеяния",
            "*散点图*",
            "*散布図*",
            "*산점도*",
        ],
    ),
    (
        Wish::Shape(Shape::Histogram),
        &["histogram*", "istogramma", "histograma", "гистограмм*", "*直方图*", "*ヒストグラム*", "*히스토그램*"],
    ),
    (
        Wish::Relation,
        &[
            "correlat*",
            "correlac*",
            "correlaz*",
            "corrélat*",
            "korrel*",
            "korelacj*",
            "корреляц*",
            "relationship between",
            "relation between",
            "related to",
            "depend on",
            "depends on",
            "zusammenhang*",
            "hängt",
            "relation entre",
            "rapport entre",
            "relacion entre",
            "relazione tra",
            "relação entre",
            "verband tussen",
            "*关系*",
            "*相关性*",
            "*相関*",
        ],
    ),
    (Wish::Versus, &["versus", "vs"]),
    (
        Wish::Distribution,
        &[
            "distribution*",
            "distributed",
            "spread",
            "histogram*",
            "verteilung*",
            "verteilt",
            "distribución*",
            "distribuzione",
            "distribuição",
            "verdeling",
            "rozkład*",
            "распределен*",
            "*分布*",
            "*분포*",
        ],
    ),
    (
        Wish::Share,
        &[
            "share of",
            "shares of",
            "what share",
            "which share",
            "as a share",
            "as shares",
            "its share",
            "their share",
            "'s share",
            "market share*",
            "percent",
            "percentage*",
            "proportion*",
            "breakdown",
            "fraction",
            "anteil*",
            "prozent*",
            "pourcentage*",
            "répartition",
            "part de",
            "quelle part",
            "porcentaje*",
            "proporcion*",
            "percentual*",
            "quota",
            "proporzion*",
            "porcentagem",
            "proporção",
            "aandeel",
            "odsetek",
            "procent*",
            "доля",
            "доли",
            "процент*",
            "*占比*",
            "*比例*",
            "*百分比*",
            "*割合*",
            "*비율*",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ask_for_a_shape_in_several_languages() {
        let shapes = [
            ("Show votes per year as a line chart", Shape::Line),
            ("Filme je Jahr als Liniendiagramm", Shape::Line),
            ("Trace la courbe des ventes", Shape::Line),
            ("Films per genre as a pie chart, please", Shape::Pie),
            ("Ventas por país en un gráfico de pastel", Shape::Pie),
            ("Anteile als Tortendiagramm", Shape::Pie),
            ("按地区显示饼图", Shape::Pie),
            ("売上を円グラフで", Shape::Pie),
            ("지역별 매출을 원 그래프로", Shape::Pie),
            ("Umsatz je Region als Säulendiagramm", Shape::Bar),
            ("A bar chart, not a pie chart", Shape::Bar),
            ("Scatterplot of price and weight", Shape::Scatter),
            ("продажи по годам, линейный график", Shape::Line),
        ];
        for (question, shape) in shapes {
            let request = Request::of(question);
            assert_eq!((request.shape, request.wants, request.refuses), (Some(shape), true, false), "{question}");
        }
    }

    #[test]
    fn words_that_only_look_like_a_chart_ask_for_none() {
        for question in ["Who made American Pie?", "Bars in Berlin by rating", "The Thin Red Line", "Which films take place in a bar?", ""]
        {
            assert_eq!(Request::of(question), Request::default(), "{question}");
        }
    }

    #[test]
    fn a_chart_can_be_refused() {
        for question in
            ["Films per year, no chart", "don’t plot it", "Filme je Jahr ohne Diagramm", "sans graphique", "sin gráficos", "不要图表"]
        {
            assert!(Request::of(question).refuses, "{question}");
        }
    }

    #[test]
    fn kinds_of_comparison_are_told_apart() {
        let read = |question: &str| {
            let request = Request::of(question);
            (request.relation, request.versus, request.distribution, request.share)
        };
        assert_eq!(read("Is there a correlation between price and weight?"), (true, false, false, false));
        assert_eq!(read("Price vs. weight"), (false, true, false, false));
        assert_eq!(read("Wie sind die Bewertungen verteilt?"), (false, false, true, false));
        assert_eq!(read("What percentage of orders came from each region?"), (false, false, false, true));
        assert_eq!(read("What share has each region?"), (false, false, false, true));
        assert_eq!(read("Each region’s share"), (false, false, false, true));
        assert_eq!(read("Which regions share the most customers with North?"), (false, false, false, false));
        assert_eq!(read("Top 10 customers"), (false, false, false, false));
    }
}
