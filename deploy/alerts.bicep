// Alerts over what asklake tells Application Insights: the rules of alerts.yaml, in its words. docs/observability.md says what to do when
// one fires. Application Insights keeps sums and counts of a histogram and no buckets, so where Prometheus has a percentile this has the mean.
// It is sent what was added since the last time, and nothing where that is nothing: a row says that something happened.

param location string
param tags object
param insightsId string
@description('Id of the action group that is told; when empty, alerts are only shown.')
param actionGroupId string

var page = 1
var ticket = 3

var rules = [
  {
    name: 'WakesWait'
    summary: 'Questions wait more than 30 s for a worker'
    severity: page
    window: 'PT15M'
    query: '''
      customMetrics
      | where name == 'asklake.wake.age'
      | summarize age = sum(value) / sum(valueCount)
      | where age > 30
    '''
  }
  {
    name: 'NoWorker'
    summary: 'Questions are asked and no worker takes one on'
    severity: page
    window: 'PT15M'
    query: '''
      customMetrics
      | where name in ('http.server.request.duration', 'asklake.wake.age', 'asklake.cache.lookups')
      | extend asked = name == 'http.server.request.duration'
          and tostring(customDimensions['http.request.method']) == 'POST'
          and tostring(customDimensions['http.route']) in ('/api/chat/start', '/api/chat/{id}/messages')
          and toint(customDimensions['http.response.status_code']) == 202
      | extend kept = name == 'asklake.cache.lookups' and tostring(customDimensions['outcome']) == 'hit'
      | summarize begun = countif(asked), taken = countif(kept or name == 'asklake.wake.age')
      | where begun > 0 and taken == 0
    '''
  }
  {
    name: 'TurnsStay'
    summary: 'Questions are asked and for an hour none has ended'
    severity: page
    window: 'PT1H'
    query: '''
      customMetrics
      | where name in ('http.server.request.duration', 'asklake.turn.duration', 'asklake.cache.lookups')
      | extend asked = name == 'http.server.request.duration'
          and tostring(customDimensions['http.request.method']) == 'POST'
          and tostring(customDimensions['http.route']) in ('/api/chat/start', '/api/chat/{id}/messages')
          and toint(customDimensions['http.response.status_code']) == 202
      | extend kept = name == 'asklake.cache.lookups' and tostring(customDimensions['outcome']) == 'hit'
      | summarize begun = countif(asked and timestamp < ago(35m)), ended = countif(kept or name == 'asklake.turn.duration')
      | where begun > 0 and ended == 0
    '''
  }
  {
    name: 'TurnsFail'
    summary: 'More than one question in ten ends with an error'
    severity: page
    window: 'PT15M'
    query: '''
      customMetrics
      | where name == 'asklake.turn.duration'
      | extend outcome = tostring(customDimensions['outcome'])
      | summarize failed = sumif(valueCount, outcome !in ('completed', 'canceled')), every = sum(valueCount)
      | where failed > 0.1 * every
    '''
  }
  {
    name: 'ModelFails'
    summary: 'More than one call of the model in ten fails'
    severity: ticket
    window: 'PT15M'
    query: '''
      customMetrics
      | where name == 'gen_ai.client.operation.duration'
      | extend fault = tostring(customDimensions['error.type'])
      | summarize failed = sumif(valueCount, isnotempty(fault)), every = sum(valueCount)
      | where failed > 0.1 * every
    '''
  }
  {
    name: 'WarehouseFails'
    summary: 'More than one call of the warehouse in ten fails'
    severity: ticket
    window: 'PT15M'
    query: '''
      customMetrics
      | where name == 'db.client.operation.duration'
      | extend fault = tostring(customDimensions['error.type'])
      | summarize failed = sumif(valueCount, isnotempty(fault)), every = sum(valueCount)
      | where failed > 0.1 * every
    '''
  }
  {
    name: 'RequestsFail'
    summary: 'More than one request in twenty ends with a 5xx'
    severity: page
    window: 'PT15M'
    query: '''
      customMetrics
      | where name == 'http.server.request.duration'
      | extend status = toint(customDimensions['http.response.status_code'])
      | summarize failed = sumif(valueCount, status >= 500), every = sum(valueCount)
      | where failed > 0.05 * every
    '''
  }
]

// Every 5 minutes over the rule's window, and twice in a row: what is over by itself wakes nobody.
resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'alert-asklake-${rule.name}'
    location: location
    tags: tags
    properties: {
      displayName: 'asklake: ${rule.name}'
      description: rule.summary
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT5M'
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 2, minFailingPeriodsToAlert: 2 }
          }
        ]
      }
      actions: { actionGroups: empty(actionGroupId) ? [] : [actionGroupId] }
      autoMitigate: true
      // At the first deployment nothing has been sent yet, and the columns of the query may not be there.
      skipQueryValidation: true
    }
  }
]
