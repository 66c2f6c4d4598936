// What is in the resource group. One user-assigned identity reaches everything; keys are switched off wherever the service can do
// without. Each role is given on the smallest thing that has it; docs/deploy.md says why it is needed.

param location string
param tags object
@description('Makes names unique in the world.')
param suffix string
param openAi bool
param modelLocation string
param modelName string
param modelVersion string
param modelSku string
param modelCapacity int
param databricksHost string
param databricksWarehouseId string
param databricksJobId string
param flightSqlUrl string
param actionGroupId string
param corsAllowedOrigins string
param authMode string
param authTenants string
param authClientId string
param authRequired string
param authAdminRole string
@secure()
param delegationKey string
param allowAnonymous bool
@secure()
param extraSettings object
param instanceMemoryMb int
param maximumInstanceCount int
param alwaysReadyHttp int

var packages = 'packages'
// src/queue/mod.rs has the first name, and the host makes the second of it.
var wakes = 'conversation-wakes'
var databaseName = 'imdb_chat'
var containerName = 'conversations'
var deploymentName = 'planner'

// Built-in roles, the same in every subscription.
var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  openAiUser: '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'
}
// A role of Cosmos DB's own: Built-in Data Contributor.
var cosmosDataContributor = '00000000-0000-0000-0000-000000000002'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-asklake-${suffix}'
  location: location
  tags: tags
}

// --- Storage: the package, the host's own state, the queue of wakes

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'stasklake${suffix}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource packageContainer 'containers' = {
      name: packages
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource wakeQueue 'queues' = {
      name: wakes
    }

    resource poisonQueue 'queues' = {
      name: '${wakes}-poison'
    }
  }
}

resource storageBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, identity.id, roles.blobDataOwner)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)
  }
}

resource storageQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, identity.id, roles.queueDataContributor)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueDataContributor)
  }
}

// --- Cosmos DB: the conversations

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2024-11-15' = {
  name: 'cosmos-asklake-${suffix}'
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: [{ name: 'EnableServerless' }]
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: false }]
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
  }

  resource database 'sqlDatabases' = {
    name: databaseName
    properties: { resource: { id: databaseName } }

    resource container 'containers' = {
      name: containerName
      properties: {
        resource: {
          id: containerName
          partitionKey: { paths: ['/partition_key'], kind: 'Hash', version: 2 }
          // On, without a default: each item says its own.
          defaultTtl: -1
          // What the history query filters and sorts by, and nothing else: every further path makes every write dearer.
          // It sorts by history_key alone, so that no composite index is needed.
          indexingPolicy: {
            indexingMode: 'consistent'
            automatic: true
            includedPaths: [
              { path: '/history_key/?' }
              { path: '/owner/?' }
              { path: '/user_id/?' }
              { path: '/device_id/?' }
            ]
            excludedPaths: [{ path: '/*' }]
          }
        }
      }
    }
  }

  resource data 'sqlRoleAssignments' = {
    name: guid(cosmos.id, identity.id, databaseName, cosmosDataContributor)
    properties: {
      principalId: identity.properties.principalId
      roleDefinitionId: '${cosmos.id}/sqlRoleDefinitions/${cosmosDataContributor}'
      scope: '${cosmos.id}/dbs/${databaseName}'
    }
    dependsOn: [database]
  }
}

// --- Azure OpenAI: the planner

resource model 'Microsoft.CognitiveServices/accounts@2024-10-01' = if (openAi) {
  name: 'oai-asklake-${suffix}'
  location: modelLocation
  tags: tags
  kind: 'OpenAI'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: 'oai-asklake-${suffix}'
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }

  resource deployment 'deployments' = {
    name: deploymentName
    sku: { name: modelSku, capacity: modelCapacity }
    properties: {
      model: { format: 'OpenAI', name: modelName, version: modelVersion }
      // The prompts are tried with one version: a new one is somebody's decision.
      versionUpgradeOption: 'NoAutoUpgrade'
    }
  }
}

resource modelUser 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (openAi) {
  scope: model
  name: guid(model.id, identity.id, roles.openAiUser)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.openAiUser)
  }
}

// --- Application Insights: logs and requests of the host and of the handler

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-asklake-${suffix}'
  location: location
  tags: tags
  properties: {
    retentionInDays: 30
    sku: { name: 'PerGB2018' }
    workspaceCapping: { dailyQuotaGb: 1 }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-asklake-${suffix}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    DisableLocalAuth: true
  }
}

resource insightsPublisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, identity.id, roles.monitoringMetricsPublisher)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringMetricsPublisher)
  }
}

module alerts 'alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    insightsId: insights.id
    actionGroupId: actionGroupId
  }
}

// --- The Function App

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-asklake-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

// What nobody should find on their bill by surprise; extraSettings has other quotas, and an empty text for none. An anonymous caller is no
// principal, and to count addresses the number of proxies must be known.
var appQuotas = { QUOTA_APP_QUESTIONS_PER_DAY: '1000' }
var principalQuotas = authMode == 'anonymous' ? {} : { QUOTA_PRINCIPAL_QUESTIONS_PER_DAY: '100', QUOTA_PRINCIPAL_QUESTIONS_AT_ONCE: '4' }
// A number that somebody wrote without quotes is a text here, as every setting is.
var furtherSettings = toObject(items(extraSettings), setting => setting.key, setting => string(setting.value))
// Settings of what is there always.
var baseSettings = {
  AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  AZURE_CLIENT_ID: identity.properties.clientId
  COSMOS_ENDPOINT: cosmos.properties.documentEndpoint
  COSMOS_DATABASE: databaseName
  COSMOS_CONTAINER: containerName
  AUTH_MODE: authMode
}
// An adapter is set only when it is asked for: asklake refuses to start with the variables of one it does not have.
var openAiSettings = openAi ? { AZURE_OPENAI_ENDPOINT: model!.properties.endpoint, AZURE_OPENAI_DEPLOYMENT: deploymentName } : {}
var databricksSettings = empty(databricksHost) ? {} : { DATABRICKS_HOST: databricksHost }
var warehouseSettings = empty(databricksWarehouseId) ? {} : { DATABRICKS_WAREHOUSE_ID: databricksWarehouseId }
var jobSettings = empty(databricksJobId) ? {} : { DATABRICKS_JOB_ID: databricksJobId }
var flightSettings = empty(flightSqlUrl) ? {} : { FLIGHT_SQL_URL: flightSqlUrl }
var entraSettings = authMode == 'entra' ? { AUTH_TENANTS: authTenants } : {}
var clientSettings = contains(['entra', 'oidc'], authMode) ? { AUTH_CLIENT_ID: authClientId } : {}
var requiredSettings = empty(authRequired) ? {} : { AUTH_REQUIRED: authRequired }
var adminSettings = empty(authAdminRole) ? {} : { AUTH_ADMIN_ROLE: authAdminRole }
// The identity is a federated credential of the application, in the place of a secret of it.
var behalfSettings = empty(delegationKey) ? {} : { WAREHOUSE_IDENTITY: 'user', DELEGATION_KEY: delegationKey }
var anonymousSettings = allowAnonymous ? { ALLOW_ANONYMOUS: '1' } : {}
var corsSettings = empty(corsAllowedOrigins) ? {} : { CORS_ALLOWED_ORIGINS: corsAllowedOrigins }

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-asklake-${suffix}'
  location: location
  // azd deploys the service of this name in azure.yaml here.
  tags: union(tags, { 'azd-service-name': 'asklake' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: { minTlsVersion: '1.2' }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packages}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      // FUNCTIONS_WORKER_RUNTIME and FUNCTIONS_EXTENSION_VERSION are not settings on this plan: this is in their place.
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMb
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyHttp }]
      }
    }
  }

  resource settings 'config' = {
    name: 'appsettings'
    // The later wins: what is decided above stays as it is.
    properties: union(appQuotas, principalQuotas, furtherSettings, openAiSettings, databricksSettings, warehouseSettings, jobSettings, flightSettings, corsSettings, entraSettings, clientSettings, requiredSettings, adminSettings, behalfSettings, anonymousSettings, baseSettings)
  }

  // Without a role the host cannot read its package, and the handler nothing at all.
  dependsOn: [storageBlobs, storageQueues, insightsPublisher]
}

output url string = 'https://${app.properties.defaultHostName}'
output functionName string = app.name
output identityClientId string = identity.properties.clientId
