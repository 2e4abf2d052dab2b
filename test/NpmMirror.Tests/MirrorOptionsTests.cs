namespace NpmMirror.Tests;

public sealed class MirrorOptionsTests
{
    [Fact]
    public void The_defaults_are_those_of_the_older_tool()
    {
        var options = new MirrorOptions();
        Assert.Equal((0, null, 10, FeedMode.Longpoll), (options.Delay, options.LastSeq, options.Concurrency, options.Mode));
        Assert.Equal((TimeSpan.FromSeconds(15), MetadataMode.Used, TarballMode.OnDemand, false), (options.PollDelay, options.Metadata, options.Tarballs, options.PublishOnly));
    }
}
