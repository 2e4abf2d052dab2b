using NpmMirror.Storage;
using NpmMirror.Tarballs;

namespace NpmMirror.Tests.Tarballs;

/// <summary>A registry lists a version before all of its edges have the tarball: a 404 for a young version is asked again, and never remembered.</summary>
public sealed class FreshTarballTests
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(8);

    private readonly FakeClock _clock = new();
    private readonly List<int> _askedAt = [];

    [Claim("A 404 of a version published within ten minutes is asked again after 1, 2, 4 and 8 seconds, and never remembered",
        With = [nameof(Absence_is_told_after_the_last_try_and_noted_of_old_versions_only)],
        Red = "the last wait of `TarballFetch` is 7 seconds: both were red; versions are young for 21 minutes: the second")]
    [Theory]
    [InlineData(1, new[] { 0, 1 })]
    [InlineData(4, new[] { 0, 1, 3, 7, 15 })]
    public async Task A_404_of_a_young_version_is_asked_again_with_doubling_waits(int absences, int[] askedAt)
    {
        var bytes = TarballScene.Bytes(1_000);
        await using var scene = Scene(bytes, absences);
        await using var reading = Assert.IsType<TarballResult.Opened>(await OpenAsync(scene, bytes, TimeSpan.FromMinutes(1))).Reading;
        Assert.Equal(bytes, await TarballScene.ReadToEndAsync(reading));
        Assert.Equal(askedAt, _askedAt);
    }

    [Theory]
    [InlineData(1, new[] { 0, 1, 3, 7, 15 }, null)]
    [InlineData(9, new[] { 0, 1, 3, 7, 15 }, null)]
    [InlineData(10, new[] { 0 }, TarballState.Missing)]
    [InlineData(11, new[] { 0 }, TarballState.Missing)]
    public async Task Absence_is_told_after_the_last_try_and_noted_of_old_versions_only(int minutesOld, int[] askedAt, TarballState? noted)
    {
        var bytes = TarballScene.Bytes(1_000);
        await using var scene = Scene(bytes, int.MaxValue);
        Assert.Equal(404, Assert.IsType<TarballResult.Absent>(await OpenAsync(scene, bytes, TimeSpan.FromMinutes(minutesOld))).Status);
        Assert.Equal(askedAt, _askedAt);
        Assert.Equal(noted, (await scene.RowAsync())?.State);
    }

    private TarballScene Scene(byte[] bytes, int absences)
    {
        var begunAt = _clock.GetUtcNow();
        return new TarballScene(
            async (request, stream, cancellationToken) =>
            {
                _askedAt.Add((int)(_clock.GetUtcNow() - begunAt).TotalSeconds);
                if (_askedAt.Count > absences)
                {
                    await TarballScene.Whole(bytes)(request, stream, cancellationToken);
                }
                else
                {
                    await stream.WriteAsync("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(), cancellationToken);
                }
            },
            _clock);
    }

    private async Task<TarballResult> OpenAsync(TarballScene scene, byte[] bytes, TimeSpan age)
    {
        var opening = scene.OpenAsync(TarballScene.PromiseOf(bytes), _clock.GetUtcNow() - age);
        await _clock.SkipWaitsAsync(opening, LongestWait);
        return await opening;
    }
}
