using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>How many tarballs an eviction takes, of several hours and within one.</summary>
public sealed class EvictionTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("An eviction takes as many tarballs as the budget needs: those of earlier hours, and of the last hour no more than are missing",
        Red = "what goes of earlier hours counts for the last hour too; one more goes when the budget is met to the byte")]
    [Theory]
    [InlineData(0, "a-early")]
    [InlineData(1, "a-early b-later")]
    [InlineData(2, "a-early b-later c-later")]
    public async Task As_many_go_as_the_budget_needs(int later, string evicted)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        foreach (var name in (string[])["a-early", "b-later", "c-later", "d-later"])
        {
            await bench.HoldAsync(name, "1.0.0");
        }

        bench.Clock.Advance(TimeSpan.FromDays(2));
        await ServeAsync(bench, "a-early", 26);
        await ServeAsync(bench, "b-later", 24);
        await ServeAsync(bench, "c-later", 24);
        await ServeAsync(bench, "d-later", 24);
        long[] sizes = [(await bench.RowAsync("a-early"))!.SizeBytes, (await bench.RowAsync("b-later"))!.SizeBytes, (await bench.RowAsync("c-later"))!.SizeBytes];
        var total = (await bench.Store.CountAsync(Cancelled)).TarballBytes;

        // To the byte, and one byte less than all that may go.
        foreach (var over in new[] { sizes.Take(later + 1).Sum(), sizes.Take(later).Sum() + 1 })
        {
            bench.Options.Gc.MaxBytes = total - over;
            Assert.Equal(evicted, string.Join(' ', (await bench.CollectAsync(isDryRun: true)).Items.Select(item => item.Subject.Split('/')[0])));
        }

        var dry = (await bench.CollectAsync(isDryRun: true)).Collected;
        var collected = (await bench.CollectAsync()).Collected;
        Assert.Equal((0, dry.HeldBytes), (collected.OverBudgetBytes, collected.HeldBytes));
        Assert.Equal(collected.HeldBytes, (await bench.Store.CountAsync(Cancelled)).TarballBytes);
    }

    private static ValueTask ServeAsync(MaintenanceBench bench, string name, int hoursAgo) =>
        bench.Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse(name), $"{name}-1.0.0.tgz", bench.Clock.GetUtcNow() - TimeSpan.FromHours(hoursAgo))], Cancelled);
}
