// ASP.NET, .NET 8: replies to every text message from a contact. API_URL, TOKEN and SECRET belong to the instance.
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

var secret = Setting("SECRET");
var key = Convert.FromBase64String(secret.StartsWith("whsec_") ? secret[6..] : secret);
var client = new HttpClient { BaseAddress = new Uri(Setting("API_URL")), Timeout = TimeSpan.FromSeconds(5) };
client.DefaultRequestHeaders.Authorization = new("Bearer", Setting("TOKEN"));
var seen = new List<string>(); // the 1000 most recent webhook-ids

var app = WebApplication.CreateBuilder(args).Build();
app.MapPost("/", async (HttpRequest request) =>
{
    using var memory = new MemoryStream();
    await request.Body.CopyToAsync(memory);
    var body = memory.ToArray();
    if (!IsSigned(request.Headers, body)) return Results.Unauthorized();
    var id = request.Headers["webhook-id"].ToString();
    if (!IsNew(id)) return Results.Ok();
    try
    {
        if (JsonNode.Parse(body)?["messages"] is JsonArray messages) // no messages in other families: respond 200
            foreach (var message in messages)
                if (!(bool)message!["fromMe"]! && (string?)message["type"] == "chat")
                    await Send((string)message["chatId"]!, $"You wrote: {(string?)message["body"]}");
        return Results.Ok();
    }
    catch (Exception error)
    {
        app.Logger.LogError(error, "Could not process the hook");
        lock (seen) seen.Remove(id); // so that the retry is processed
        return Results.StatusCode(500);
    }
});
app.Run($"http://*:{Environment.GetEnvironmentVariable("PORT") ?? "5000"}");

// There can be two signatures: for a day after a rotation, hooks are signed with the new and the old secret.
bool IsSigned(IHeaderDictionary headers, byte[] body)
{
    var timestamp = headers["webhook-timestamp"].ToString();
    var start = Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{timestamp}.");
    var digest = HMACSHA256.HashData(key, start.Concat(body).ToArray());
    var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(digest));
    return headers["webhook-signature"].ToString().Split(' ')
        .Any(given => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), expected))
        && Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(timestamp)) <= 300;
}

bool IsNew(string id)
{
    lock (seen)
    {
        if (seen.Contains(id)) return false;
        seen.Add(id);
        if (seen.Count > 1000) seen.RemoveAt(0);
        return true;
    }
}

async Task Send(string chatId, string body)
{
    using var response = await client.PostAsJsonAsync("sendMessage", new { chatId, body });
    response.EnsureSuccessStatusCode();
    var reply = await response.Content.ReadFromJsonAsync<JsonNode>();
    if ((bool?)reply?["sent"] != true) app.Logger.LogError("Not sent: {Reply}", reply?.ToJsonString());
}

static string Setting(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value
    ? value : throw new InvalidOperationException($"{name} is not set.");
