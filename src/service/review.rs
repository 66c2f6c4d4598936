//! What asklake itself finds of an answer, before it goes out: what no row supports, what was assumed, which verified query it follows.
//!
//! Decides nothing about the turn: `machine` gives an answer with objections back to the model once, and marks it after that.

use super::{Service, perform::number, transcript::Results};
use crate::{
    conversation::{Answer, AnswerBasis, Chart, Conversation, Job, JobStatus, ResultSet, Review, Role, grounding},
    sql::{assumptions, catalog::vocabulary::Vocabulary, sources},
};

impl Service {
    /// Reviews `answer`. Where it may not go out even after its rewrite (recall under [`super::Settings::data_only`]), it becomes a refusal.
    pub(super) fn review(&self, conversation: &Conversation, answer: Answer, results: &Results) -> (Answer, Review) {
        let evidence = self.evidence(conversation, results);
        let answer = resting_on(answer, &evidence);
        let is_recall = self.settings.data_only && answer.basis == AnswerBasis::ModelKnowledge;
        if is_recall && conversation.spent.rewrites > 0 {
            return (self.refusal(answer), Review::default());
        }
        let found_nothing =
            self.ports.model.remembers() && answer.basis == AnswerBasis::Data && evidence.iter().all(|result| result.row_count == 0);
        if found_nothing && self.settings.data_only {
            return (self.nothing(answer), Review { assumptions: self.assumed(conversation), ..Review::default() });
        }
        let unverified = self.unverified(conversation, &answer, &evidence);
        let mut objections = Vec::new();
        if is_recall {
            objections
                .push("It rests on no rows, and only the lake may be answered from: query it, or say what it does not hold.".to_owned());
        } else if !unverified.is_empty() {
            objections.push(format!(
                "These are not in the rows: {}. Use only numbers and names from the rows, or write the calculation that gives them, as in \
                 8.9 - 8.1 = 0.8. Query again if the rows do not have them.",
                unverified.join("; ")
            ));
        }
        let source = |job: &Job| self.lake.catalog.queries.get(self.lake.verified.source(&job.sql_query)?);
        let followed = conversation.turn_statements().filter_map(|(_, job)| source(job));
        let mut verified_queries: Vec<String> = followed.map(|query| self.lake.catalog.fill(&query.question)).collect();
        verified_queries.dedup();
        let chart = self.chart(conversation, answer.basis, results);
        let assumptions = self.assumed(conversation);
        (answer, Review { objections, unverified, found_nothing, assumptions, verified_queries, chart })
    }

    /// What an answer may rest on: rows of statements that read the lake. What others give was written by the model itself.
    fn evidence<'a>(&self, conversation: &Conversation, results: &'a Results) -> Vec<&'a ResultSet> {
        let reads_lake = |index: &usize| {
            let job = conversation.databricks_jobs.get(*index);
            job.is_some_and(|job| sources::reads_lake(&job.sql_query, &self.lake.catalog))
        };
        results.iter().filter(|(index, _)| reads_lake(index)).map(|(_, result)| result).collect()
    }

    /// What the statement that the answer rests on assumes.
    fn assumed(&self, conversation: &Conversation) -> Vec<String> {
        let decisive = conversation.decisive_statement();
        let assumed = |(_, job): (usize, &Job)| assumptions::assumptions(&job.sql_query, &conversation.question, &self.lake.catalog);
        decisive.map(assumed).unwrap_or_default()
    }

    /// The chart of the rows that an answer from data rests on: those of the last statement that gave any. A turn without one may ask for a
    /// chart of what was found before.
    fn chart(&self, conversation: &Conversation, basis: AnswerBasis, results: &Results) -> Option<Chart> {
        let of_turn = conversation.decisive_statement().filter(|(_, job)| job.gave_rows());
        let earlier = || conversation.statements().filter(|(_, job)| job.gave_rows()).last();
        let (index, _) = of_turn.or_else(|| if Chart::is_asked_for(&conversation.question) { earlier() } else { None })?;
        let drawn = results.get(&index).filter(|_| basis == AnswerBasis::Data)?;
        Chart::of(&conversation.question, number(index), drawn)
    }

    fn unverified(&self, conversation: &Conversation, answer: &Answer, evidence: &[&ResultSet]) -> Vec<String> {
        let mut said: Vec<&str> =
            conversation.messages.iter().filter(|message| message.role == Role::User).map(|message| message.content.as_str()).collect();
        said.extend(conversation.databricks_jobs.iter().filter(|job| job.status == JobStatus::Completed).map(|job| job.sql_query.as_str()));
        let is_refusal = answer.basis == AnswerBasis::None;
        if is_refusal {
            // It may quote what can be asked instead.
            said.extend(self.lake.catalog.questions.iter().map(String::as_str));
        }
        let words: Vec<&str> = self.lake.catalog.planner.iter().flat_map(Vocabulary::nouns).collect();
        grounding::unverified(&answer.text, &grounding::Evidence { results: evidence, said: &said, words: &words, is_refusal })
    }

    /// The rows of the statement that the answer of the turn rests on.
    pub(super) fn last_rows<'a>(&self, conversation: &Conversation, results: &'a Results) -> Option<&'a ResultSet> {
        let (index, _) = conversation.decisive_statement()?;
        results.get(&index)
    }

    /// Where only the lake may be answered from and nothing was found in it, there is nothing to say but that.
    fn nothing(&self, answer: Answer) -> Answer {
        Answer { text: format!("The query found no rows: nothing in the lake `{}` matches it.", self.lake.catalog.name), ..answer }
    }

    fn refusal(&self, answer: Answer) -> Answer {
        let text = format!(
            "This cannot be answered from the lake `{}`: no query gave rows that it could rest on, and answers from what the model remembers \
             are switched off here.",
            self.lake.catalog.name
        );
        Answer { text, basis: AnswerBasis::None, assumptions: Vec::new(), suggested_questions: answer.suggested_questions }
    }
}

/// The answer, with its basis as it is: none is data where no query read any.
fn resting_on(answer: Answer, evidence: &[&ResultSet]) -> Answer {
    match answer.basis {
        AnswerBasis::Data if evidence.is_empty() => Answer { basis: AnswerBasis::ModelKnowledge, ..answer },
        _ => answer,
    }
}
