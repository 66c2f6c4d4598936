//! What asklake itself finds of an answer, before it goes out: what no row supports, what was assumed, which verified query it follows.
//!
//! Decides nothing about the turn: `machine` gives an answer with objections back to the model once, and marks it after that.

use super::{Service, perform::number, transcript::Results};
use crate::{
    conversation::{Answer, AnswerBasis, Chart, Conversation, Job, JobStatus, ResultSet, Review, Role, grounding},
    sql::assumptions,
};

impl Service {
    /// Reviews `answer`. Where it may not go out even after its rewrite (recall under [`super::Settings::data_only`]), it becomes a refusal.
    pub(super) fn review(&self, conversation: &Conversation, answer: Answer, results: &Results) -> (Answer, Review) {
        let is_recall = self.settings.data_only && answer.basis == AnswerBasis::ModelKnowledge;
        if is_recall && conversation.spent.rewrites > 0 {
            return (self.refusal(answer), Review::default());
        }
        let unverified = self.unverified(conversation, &answer, results);
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
        let statements = || conversation.turn_statements().map(|(_, job)| job);
        let source = |job: &Job| self.lake.catalog.queries.get(self.lake.verified.source(&job.sql_query)?);
        let mut verified_queries: Vec<String> =
            statements().filter_map(source).map(|query| self.lake.catalog.fill(&query.question)).collect();
        verified_queries.dedup();
        let last = statements().last();
        let assumed = |job: &Job| assumptions::assumptions(&job.sql_query, &conversation.question, &self.lake.catalog);
        let chart = self.chart(conversation, answer.basis, results);
        (answer, Review { objections, unverified, assumptions: last.map(assumed).unwrap_or_default(), verified_queries, chart })
    }

    /// The chart of the rows that an answer from data rests on: those of the last statement that gave any. A turn without one may ask for a
    /// chart of what was found before.
    fn chart(&self, conversation: &Conversation, basis: AnswerBasis, results: &Results) -> Option<Chart> {
        let has_rows = |(_, job): &(usize, &Job)| job.row_count != Some(0);
        let earlier = || if Chart::is_asked_for(&conversation.question) { conversation.statements().filter(has_rows).last() } else { None };
        let (index, _) = conversation.turn_statements().filter(has_rows).last().or_else(earlier)?;
        let drawn = results.get(&index).filter(|_| basis == AnswerBasis::Data)?;
        Chart::of(&conversation.question, number(index), drawn)
    }

    fn unverified(&self, conversation: &Conversation, answer: &Answer, results: &Results) -> Vec<String> {
        let results: Vec<&ResultSet> = results.values().collect();
        let mut said: Vec<&str> =
            conversation.messages.iter().filter(|message| message.role == Role::User).map(|message| message.content.as_str()).collect();
        said.extend(conversation.databricks_jobs.iter().filter(|job| job.status == JobStatus::Completed).map(|job| job.sql_query.as_str()));
        if answer.basis == AnswerBasis::None {
            // A refusal may quote what can be asked instead.
            said.extend(self.lake.catalog.questions.iter().map(String::as_str));
        }
        grounding::unverified(&answer.text, &grounding::Evidence { results: &results, said: &said })
    }

    /// The rows of the last statement of the turn.
    pub(super) fn last_rows<'a>(&self, conversation: &Conversation, results: &'a Results) -> Option<&'a ResultSet> {
        let (index, _) = conversation.turn_statements().last()?;
        results.get(&index)
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
