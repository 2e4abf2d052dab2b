using System.Text.Json;
using NpmMirror.Testing;
using NpmMirror.Tests.Clients;

namespace NpmMirror.Tests.Search;

/// <summary>The program dies without warning while its index is built and followed.</summary>
public sealed class SearchKillTests
{
    private const int Packages = 60;
    private const int Kills = 8;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Killed_at_any_moment_it_goes_on_or_is_built_again()
    {
        using var folder = new TestFolder();
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        for (var i = 0; i < Packages; i++)
        {
            upstream.Publish(new FakePackage($"pack-{i}").Version("1.0.0"));
        }

        var random = new Random(20261201);
        for (var kill = 0; kill < Kills; kill++)
        {
            await using var mirror = await StartAsync(upstream, folder);
            upstream.Publish(new FakePackage($"later-{kill}").Version("1.0.0"));

            // Killed after a search has found something, or before.
            if (kill % 2 == 0)
            {
                await Eventually.Async(async () => await TotalAsync(mirror, "pack") > random.Next(Packages));
            }

            if (kill == 5)
            {
                File.Delete(folder.File(Path.Combine("data", "search.db")));
            }

            await mirror.KillAsync();
        }

        await using var last = await StartAsync(upstream, folder);
        await Eventually.Async(async () => await TotalAsync(last, "pack") == Packages);
        await Eventually.Async(async () => await TotalAsync(last, "later") == Kills);
        Assert.Equal(Packages + Kills, await TotalAsync(last, "boost-exact:false"));
    }

    private static Task<MirrorProcess> StartAsync(FakeRegistry upstream, TestFolder folder) =>
        MirrorProcess.StartAsync(upstream.Url, folder.Folder("data"), [$"--feed={upstream.FeedUrl}", "--metadata=all"], cancellationToken: Cancelled);

    /// <summary>How many packages a search finds; -1 while it is refused.</summary>
    private static async Task<int> TotalAsync(MirrorProcess mirror, string text)
    {
        using var client = new HttpClient();
        using var answer = await client.GetAsync(new Uri(mirror.Registry, $"-/v1/search?text={Uri.EscapeDataString(text)}"), Cancelled);
        if (!answer.IsSuccessStatusCode)
        {
            return -1;
        }

        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        return body.RootElement.GetProperty("total").GetInt32();
    }
}
