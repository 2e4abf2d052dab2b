namespace NpmMirror.Tests;

public sealed class OpenFileLimitTests
{
    [Theory]
    [InlineData(504, 10, 32)]
    [InlineData(1024, 10, 292)]
    [InlineData(20_000, 10, 9_780)]
    [InlineData(20_000, 256, 9_288)]
    [InlineData(long.MaxValue, 10, 1_000_000)]
    public void Two_for_each_client_after_the_need_of_the_process_itself(long limit, int concurrency, int clients) =>
        Assert.Equal(clients, OpenFileLimit.ClientsMax(limit, concurrency));

    [Theory]
    [InlineData(503, 10, "503", "504")]
    [InlineData(0, 10, "0", "504")]
    [InlineData(1024, 256, "1024", "1488")]
    public void A_limit_that_is_too_small_is_told_with_the_needed_one(long limit, int concurrency, string told, string needed)
    {
        var failure = Assert.Throws<MirrorException>(() => OpenFileLimit.ClientsMax(limit, concurrency));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains($" {told} files", failure.Message, StringComparison.Ordinal);
        Assert.Contains($" {needed};", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_one_in_force_is_known_where_there_is_one() =>
        Assert.Equal(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), OpenFileLimit.Read() is > 0 and < long.MaxValue);
}
