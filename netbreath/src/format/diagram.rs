//! Connections as drawings: text, Mermaid, SVG, or a page of HTML that needs nothing else.

use std::fmt::Write as _;
use std::path::Path;

use netbreath_common::tcp::TcpState;

use crate::event::segment::Moment;
use crate::lesson::{Language, line};
use crate::view::ladder::{Ladder, Side, What, elapsed, ladders};

/// What a drawing is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Mermaid,
    Svg,
    Html,
}

impl Kind {
    /// By the ending of a file's name.
    pub fn of(path: &Path) -> Option<Kind> {
        match path.extension()?.to_str()? {
            "txt" => Some(Kind::Text),
            "mmd" => Some(Kind::Mermaid),
            "svg" => Some(Kind::Svg),
            "html" | "htm" => Some(Kind::Html),
            _ => None,
        }
    }
}

/// The drawing of all connections in what was seen.
pub fn draw(kind: Kind, moments: &[Moment], language: Language) -> String {
    let all = ladders(moments);
    match kind {
        Kind::Text => text(&all),
        Kind::Mermaid => mermaid(&all),
        Kind::Svg => svg(&all),
        Kind::Html => html(&all, moments, language),
    }
}

fn text(all: &[Ladder]) -> String {
    let mut out = String::new();
    for (place, ladder) in all.iter().enumerate() {
        if place > 0 {
            out.push('\n');
        }
        ladder.text(100, &mut out);
    }
    out
}

/// The name of an end.
fn name(end: &crate::view::ladder::End) -> String {
    match &end.process {
        Some(process) => format!("{process} {}", end.address),
        None => end.address.to_string(),
    }
}

/// A sequence diagram of Mermaid.
fn mermaid(all: &[Ladder]) -> String {
    let mut out = String::from("sequenceDiagram\n");
    // A semicolon would end the statement, and a hash begins an entity.
    let plain = |text: &str| text.replace(['#', ';'], " ");
    for (number, ladder) in all.iter().enumerate() {
        for (letter, end) in [("a", &ladder.left), ("b", &ladder.right)] {
            let _ = writeln!(out, "    participant {letter}{number} as {}", plain(&name(end)));
        }
    }
    for (number, ladder) in all.iter().enumerate() {
        for rung in &ladder.rungs {
            let _ = match &rung.what {
                What::Here { side, text, .. } => {
                    let letter = if *side == Side::Left { "a" } else { "b" };
                    writeln!(out, "    Note over {letter}{number}: {}", plain(text))
                }
                What::Segment { to, text } => {
                    let (from, to) = if *to == Side::Right { ("a", "b") } else { ("b", "a") };
                    writeln!(out, "    {from}{number}->>{to}{number}: {}", plain(text))
                }
            };
        }
    }
    out
}

const WIDTH: u32 = 760;
const LEFT: u32 = 230;
const RIGHT: u32 = 530;
const HEAD: u32 = 64;
/// Between rungs: at least so much, that words do not cover each other, and at most.
const LEAST: f64 = 20.0;
const MOST: f64 = 90.0;

/// A colour for a state; told apart by people of any eyesight (Okabe and Ito).
const fn colour(state: TcpState) -> &'static str {
    match state {
        TcpState::Established => "#009e73",
        TcpState::SynSent | TcpState::SynRecv | TcpState::NewSynRecv => "#56b4e9",
        TcpState::Listen => "#0072b2",
        TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing => "#e69f00",
        TcpState::CloseWait | TcpState::LastAck => "#d55e00",
        TcpState::TimeWait => "#cc79a7",
        TcpState::Close | TcpState::BoundInactive => "#999999",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Where each rung is, counted from the top, and whether the wait before it was cut.
fn places(ladder: &Ladder) -> Vec<(f64, bool)> {
    let waits: Vec<f64> =
        ladder.rungs.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at) as f64).collect();
    // To the scale in which the middle one of the waits gets the least room.
    let mut sorted: Vec<f64> = waits.iter().copied().filter(|wait| *wait > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let unit = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0).max(1.0);
    let mut at = f64::from(HEAD) + LEAST;
    let mut places = vec![(at, false)];
    for wait in waits {
        let room = wait / unit * LEAST;
        at += room.clamp(LEAST, MOST);
        places.push((at, room > MOST));
    }
    places.truncate(ladder.rungs.len());
    places
}

/// One ladder, its top at `top`; its height.
fn draw_ladder(ladder: &Ladder, top: f64, number: &mut usize, out: &mut String) -> f64 {
    let places = places(ladder);
    let bottom = places.last().map_or(f64::from(HEAD), |(at, _)| *at) + LEAST;
    for (x, end) in [(LEFT, &ladder.left), (RIGHT, &ladder.right)] {
        let process = escape(end.process.as_deref().unwrap_or("?"));
        let address = escape(&end.address.to_string());
        let _ = write!(
            out,
            "<text x=\"{x}\" y=\"{:.1}\" class=\"head\">{process}</text>\
             <text x=\"{x}\" y=\"{:.1}\" class=\"end\">{address}</text>\
             <line x1=\"{x}\" y1=\"{:.1}\" x2=\"{x}\" y2=\"{:.1}\" class=\"life\"/>",
            top + 24.0,
            top + 44.0,
            top + 54.0,
            top + bottom,
        );
    }
    // States as bars on the life lines.
    for (side, x) in [(Side::Left, LEFT), (Side::Right, RIGHT)] {
        let mut current: Option<(TcpState, f64)> = None;
        let mut bar = |state: TcpState, from: f64, to: f64| {
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{:.1}\" width=\"10\" height=\"{:.1}\" fill=\"{}\"><title>{}</title></rect>",
                x - 5,
                top + from,
                (to - from).max(1.0),
                colour(state),
                state.name(),
            );
        };
        for (rung, (at, _)) in ladder.rungs.iter().zip(&places) {
            if let What::Here { side: of, state: Some(state), .. } = &rung.what
                && *of == side
                && let Some((before, since)) = current.replace((*state, *at))
            {
                bar(before, since, *at);
            }
        }
        if let Some((state, since)) = current.filter(|(state, _)| *state != TcpState::Close) {
            bar(state, since, bottom);
        }
    }
    let start = ladder.rungs.first().map_or(0, |rung| rung.at);
    for (rung, (at, cut)) in ladder.rungs.iter().zip(&places) {
        let y = top + at;
        let _ = write!(
            out,
            "<g class=\"rung\" data-step=\"{number}\"><text x=\"8\" y=\"{:.1}\" class=\"time\">{}</text>",
            y + 4.0,
            elapsed(rung.at.saturating_sub(start), 0),
        );
        *number += 1;
        if *cut {
            // The wait before it was longer than it is drawn.
            let _ = write!(
                out,
                "<path d=\"M{} {:.1}l6 -3 6 6 6 -3\" class=\"cut\"/>",
                LEFT - 130,
                y - MOST / 2.0
            );
        }
        match &rung.what {
            What::Here { side, text, state } => {
                let (x, class) = match side {
                    Side::Left => (LEFT - 12, "left"),
                    Side::Right => (RIGHT + 12, "right"),
                };
                let weight = if state.is_some() { " state" } else { "" };
                let _ = write!(
                    out,
                    "<text x=\"{x}\" y=\"{:.1}\" class=\"{class}{weight}\">{}</text>",
                    y + 4.0,
                    escape(text)
                );
            }
            What::Segment { to, text } => {
                let (from, to) = match to {
                    Side::Right => (LEFT + 6, RIGHT - 6),
                    Side::Left => (RIGHT - 6, LEFT + 6),
                };
                let _ = write!(
                    out,
                    "<line x1=\"{from}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{y:.1}\" class=\"arrow\" marker-end=\"url(#tip)\"/>\
                     <text x=\"{}\" y=\"{:.1}\" class=\"segment\">{}</text>",
                    (LEFT + RIGHT) / 2,
                    y - 4.0,
                    escape(text)
                );
            }
        }
        out.push_str("</g>\n");
    }
    bottom + LEAST
}

const STYLE: &str = "text{font:13px ui-monospace,monospace;fill:#222}.head{font-weight:bold;\
text-anchor:middle}.end,.segment{text-anchor:middle}.segment{font-size:12px}.time{fill:#666;\
font-size:11px}.left{text-anchor:end}.state{font-weight:bold}.life{stroke:#888;stroke-width:1.5}\
.arrow{stroke:#222;stroke-width:1.2}.cut{stroke:#666;fill:none}\
.dim{opacity:.2}.now text{fill:#b00}.now .arrow{stroke:#b00;stroke-width:2.4}";

fn svg(all: &[Ladder]) -> String {
    let (mut body, mut top, mut number) = (String::new(), 0.0, 0);
    for ladder in all {
        top += draw_ladder(ladder, top, &mut number, &mut body);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" width=\"{WIDTH}\" \
         height=\"{top:.0}\">\n<style>{STYLE}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" \
         refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 \
         8z\" fill=\"#222\"/></marker></defs>\n<rect width=\"{WIDTH}\" height=\"{top:.0}\" \
         fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// A page: the drawing, and an explanation of each step, forwards and backwards.
fn html(all: &[Ladder], moments: &[Moment], language: Language) -> String {
    let steps: Vec<String> = all
        .iter()
        .flat_map(|ladder| &ladder.rungs)
        .map(|rung| {
            moments.get(rung.moment).map_or_else(String::new, |one| line::moment(one, language))
        })
        .collect();
    // `</` must not end the script.
    let steps = serde_json::to_string(&steps).unwrap_or_default().replace("</", "<\\/");
    let (lang, title, keys) = match language {
        Language::En => ("en", "Connections", "Step with the buttons or the arrow keys."),
        Language::Ja => ("ja", "接続の記録", "ボタンか矢印キーで 1 段ずつ進めます。"),
    };
    let drawing = svg(all);
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{margin:0;font:16px sans-serif;display:flex;flex-wrap:wrap}}main{{padding:1em}}\
         aside{{position:sticky;top:0;align-self:flex-start;max-width:26em;padding:1em}}\
         button{{font-size:1.2em;padding:.2em 1em}}#say{{line-height:1.6;min-height:12em}}\
         @media(max-width:1180px){{aside{{top:auto;bottom:0;width:100%;max-width:none;\
         background:#fff;border-top:1px solid #888;padding:0 1em;box-sizing:border-box}}\
         #say{{min-height:5em}}aside p{{margin:.5em 0}}}}</style></head>\n\
         <body><main>{drawing}</main><aside><p>{keys}</p><p><button id=\"back\">&larr;</button> \
         <button id=\"on\">&rarr;</button> <span id=\"place\"></span></p><p id=\"say\"></p></aside>\n\
         <script>\nconst steps={steps};\nconst rungs=document.querySelectorAll('.rung');\nlet at=0;\n\
         function show(){{rungs.forEach((rung,i)=>{{rung.classList.toggle('dim',i>at);\
         rung.classList.toggle('now',i===at)}});\
         document.getElementById('say').textContent=steps[at]||'';\
         document.getElementById('place').textContent=(at+1)+' / '+rungs.length;\
         if(rungs[at])rungs[at].scrollIntoView({{block:'nearest'}})}}\n\
         function go(by){{at=Math.max(0,Math.min(rungs.length-1,at+by));show()}}\n\
         document.getElementById('back').onclick=()=>go(-1);\
         document.getElementById('on').onclick=()=>go(1);\n\
         document.onkeydown=event=>{{if(event.key==='ArrowRight'||event.key==='ArrowDown'){{go(1);\
         event.preventDefault()}}if(event.key==='ArrowLeft'||event.key==='ArrowUp'){{go(-1);\
         event.preventDefault()}}}};\nshow();\n</script></body></html>\n"
    )
}
