using System.Runtime.CompilerServices;

namespace NpmMirror.Tests.Clients;

/// <summary>Waits for another process, by asking again and again until a deadline.</summary>
internal static class Polling
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    public static async Task UntilAsync(Func<Task<bool>> isSo, CancellationToken cancellationToken, [CallerArgumentExpression(nameof(isSo))] string? what = null)
    {
        var startedAt = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(startedAt) < Deadline, $"Waited {Deadline} for: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
        }
    }
}
