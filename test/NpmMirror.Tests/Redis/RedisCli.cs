namespace NpmMirror.Tests.Redis;

/// <summary>Redis' own program for administrators.</summary>
internal static class RedisCli
{
    private static readonly TimeSpan RunMax = TimeSpan.FromSeconds(120);

    /// <summary>What it prints.</summary>
    internal static async Task<string> RunAsync(params string[] arguments)
    {
        var run = await TestProcess.RunAsync(["redis-cli", .. arguments], Path.GetTempPath(), new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" }, RunMax, CancellationToken.None);
        Assert.True(run.ExitCode == 0, run.Output);
        return run.Output;
    }
}
