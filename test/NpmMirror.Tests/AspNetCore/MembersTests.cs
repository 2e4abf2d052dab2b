using System.Text;
using System.Text.Json;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Of two equal members some readers take the first, some the last, and some refuse both: no served document has any, unless its upstream sent it so.</summary>
public sealed class MembersTests
{
    private static readonly Dictionary<string, string> Packuments = new()
    {
        ["plain"] = Documents.Of("plain"),
        ["without-rev"] = Documents.Of("without-rev", rev: null),
        ["without-id"] = """{"name":"without-id","versions":{"1.0.0":{"_id":"without-id@1.0.0","_rev":"x"}},"readme":"\"_id\":\\","maintainers":["_id",{"_id":1}]}""",
        ["empty"] = "{ }",
        ["escaped"] = """{"versions":{"1.0.0":{}},"\u005f\u0069\u0064":"escaped","name":"escaped","\u005Frev":"4-a","_revisions":{"start":9,"ids":["z"]}}""",
        ["odd"] = """{"_rev":5,"name":"odd","versions":{},"_id" : "odd"}""",
        ["long"] = $$"""{"name":"long","versions":{"1.0.0":{"readme":"{{new string('x', 9_000_000)}}"} },"_rev":"2-b","_id":"long"}""",
    };

    [Claim("No served document names a member twice, documents for replicators included",
        Red = "the document's own members are not looked for")]
    [Fact]
    public async Task Nothing_that_is_served_names_a_member_twice()
    {
        await using var mirror = await ServedMirror.StartAsync();
        foreach (var (name, json) in Packuments)
        {
            await mirror.PutAsync(name, json);
        }

        foreach (var kind in new[] { Log.RemovalKind.Gone, Log.RemovalKind.Blocked, Log.RemovalKind.Unpublished })
        {
            await mirror.PutAsync($"was-{kind}", Documents.Of($"was-{kind}"));
            await mirror.RemoveAsync($"was-{kind}", kind);
        }

        await mirror.SettleAsync();
        string[] paths = ["", "_changes", "_changes?include_docs=true", "_all_docs", "_all_docs?include_docs=true", "_all_docs?removed=true&include_docs=true", "-/all", "-/log/head", "-/ping", "none", "plain/1.0.0", "-/package/plain/dist-tags"];
        foreach (var path in paths)
        {
            await CheckAsync(path, await mirror.GetAsync(path));
        }

        foreach (var name in Packuments.Keys.Concat(["was-Gone", "was-Blocked", "was-Unpublished"]))
        {
            await CheckAsync(name, await mirror.GetAsync(name));
            await CheckAsync($"{name} abbreviated", await mirror.GetAsync(name, ("Accept", "application/vnd.npm.install-v1+json")));
            var replicated = await CheckAsync($"open_revs of {name}", await mirror.GetAsync($"{name}?open_revs=all"));
            CheckReplicated(name, replicated.RootElement[0].GetProperty("ok"));
            using var asked = new StringContent($$"""{"docs":[{"id":"{{name}}"}]}""", Encoding.UTF8, "application/json");
            var got = await CheckAsync($"_bulk_get of {name}", await mirror.Client.PostAsync(new Uri("_bulk_get?revs=true", UriKind.Relative), asked, TestContext.Current.CancellationToken));
            CheckReplicated(name, got.RootElement.GetProperty("results")[0].GetProperty("docs")[0].GetProperty("ok"));
        }
    }

    private static void CheckReplicated(string name, JsonElement document)
    {
        Assert.Equal(name, document.GetProperty("_id").GetString());
        Assert.True(document.TryGetProperty("_rev", out _));
        Assert.True(document.TryGetProperty("_revisions", out _));
    }

    private static async Task<JsonDocument> CheckAsync(string what, HttpResponseMessage answer)
    {
        using (answer)
        {
            var json = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            var reader = new Utf8JsonReader(json);
            var objects = new Stack<HashSet<string>>();
            while (reader.Read())
            {
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject:
                        objects.Push([]);
                        break;
                    case JsonTokenType.EndObject:
                        objects.Pop();
                        break;
                    case JsonTokenType.PropertyName:
                        Assert.True(objects.Peek().Add(reader.GetString()!), $"{what} names {reader.GetString()} twice");
                        break;
                }
            }

            return JsonDocument.Parse(json);
        }
    }
}
