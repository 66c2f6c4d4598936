// The whole installation of asklake in Azure: a resource group and what is in it. Names, sizes and models are decided here;
// how each resource is set up stands in resources.bicep. No secret is made, kept or put out.
targetScope = 'subscription'

@description('Name of the azd environment; part of the name of the resource group.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything but the model.')
param location string

@description('Region of the model; the same one when empty.')
param modelLocation string = ''

@description('Whether an Azure OpenAI account is made and used. The app must know its settings: see docs/deploy.md.')
param openAi bool = false

@description('Name of the model, such as gpt-4.1.')
param modelName string = 'gpt-4.1'

@description('Version of the model.')
param modelVersion string = '2025-04-14'

@description('How the deployment is billed and where it runs.')
@allowed(['Standard', 'GlobalStandard', 'DataZoneStandard'])
param modelSku string = 'GlobalStandard'

@description('Capacity of the model deployment, in thousands of tokens a minute.')
@minValue(1)
param modelCapacity int = 50

@description('Address of a Databricks workspace, such as https://adb-1.2.azuredatabricks.net; none when empty.')
param databricksHost string = ''

@description('SQL warehouse there; give this or databricksJobId.')
param databricksWarehouseId string = ''

@description('Job there that runs a statement; give this or databricksWarehouseId.')
param databricksJobId string = ''

@description('Address of a Flight SQL endpoint, such as http://10.0.0.4:32010; none when empty.')
param flightSqlUrl string = ''

@description('Id of the action group that alerts tell; when empty, they are only shown.')
param actionGroupId string = ''

@description('Origins, separated by commas, whose pages may call the API; none when empty.')
param corsAllowedOrigins string = ''

@description('How callers prove who they are (AUTH_MODE); anonymous together with allowAnonymous. What oidc and api_key need besides is in extraSettings.')
@allowed(['entra', 'oidc', 'easyauth', 'api_key', 'anonymous'])
param authMode string = 'entra'

@description('With entra: ids of the tenants, separated by commas, whose users may ask; this subscription\'s when empty.')
param authTenants string = ''

@description('With entra and oidc: application id of the registration that stands for asklake and its page.')
param authClientId string = ''

@description('Scopes or roles, separated by commas, of which a caller needs one; everybody of the tenants or the issuer may ask when empty.')
param authRequired string = ''

@description('Role whose holders may read every conversation; nobody may when empty.')
param authAdminRole string = ''

@description('With entra and a SQL warehouse: 32 random bytes in Base64. Queries run in the name of whoever asks; as the app\'s identity when empty.')
@secure()
param delegationKey string = ''

@description('With anonymous: says once more that everybody who knows the address may ask.')
param allowAnonymous bool = false

@description('Further settings of the app by name, as texts: quotas, TRUSTED_PROXIES, REDIS_URL, CACHE_SCOPE and whatever else docs/configuration.md has. What is set here otherwise stays as it is, but for the quotas.')
@secure()
param extraSettings object = {}

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMb int = 2048

@description('Instances there may be at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances kept ready for HTTP. Each costs money while idle.')
@minValue(0)
param alwaysReadyHttp int = 0

// azd finds the group and the app by these tags.
var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-asklake-${environmentName}'
  location: location
  tags: tags
}

module resources 'resources.bicep' = {
  scope: group
  name: 'asklake'
  params: {
    location: location
    tags: tags
    suffix: uniqueString(subscription().id, environmentName, location)
    openAi: openAi
    modelLocation: empty(modelLocation) ? location : modelLocation
    modelName: modelName
    modelVersion: modelVersion
    modelSku: modelSku
    modelCapacity: modelCapacity
    databricksHost: databricksHost
    databricksWarehouseId: databricksWarehouseId
    databricksJobId: databricksJobId
    flightSqlUrl: flightSqlUrl
    actionGroupId: actionGroupId
    corsAllowedOrigins: corsAllowedOrigins
    authMode: authMode
    authTenants: empty(authTenants) ? tenant().tenantId : authTenants
    authClientId: authClientId
    authRequired: authRequired
    authAdminRole: authAdminRole
    delegationKey: delegationKey
    allowAnonymous: allowAnonymous
    extraSettings: extraSettings
    instanceMemoryMb: instanceMemoryMb
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
  }
}

output ASKLAKE_URL string = resources.outputs.url
output ASKLAKE_IDENTITY_CLIENT_ID string = resources.outputs.identityClientId
output AZURE_FUNCTION_NAME string = resources.outputs.functionName
output AZURE_RESOURCE_GROUP string = group.name
