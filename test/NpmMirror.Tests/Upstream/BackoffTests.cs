using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

public sealed class BackoffTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void The_first_wait_is_never_shorter_than_the_first_step()
    {
        for (var seed = 0; seed < 1000; seed++)
        {
            Assert.InRange(New(seed).Next(), Second, Second * 1.5);
        }
    }

    [Fact]
    public void Doubles_with_each_failure_until_a_success()
    {
        var backoff = New(7);
        for (var i = 0; i < 5; i++)
        {
            Assert.InRange(backoff.Next(), Second * (1 << i), Second * (1 << i) * 1.5);
        }

        backoff.Reset();
        Assert.InRange(backoff.Next(), Second, Second * 1.5);
    }

    [Fact]
    public void Never_waits_longer_than_the_cap()
    {
        var backoff = New(7);
        for (var i = 0; i < 5000; i++)
        {
            Assert.InRange(backoff.Next(), Second, TimeSpan.FromMinutes(1));
        }

        Assert.Equal(TimeSpan.FromMinutes(1), backoff.Next(TimeSpan.FromDays(1)));
    }

    [Fact]
    public void Waits_as_long_as_the_server_asked() => Assert.Equal(Second * 20, New(7).Next(Second * 20));

    [Fact]
    public void A_server_that_asks_for_no_wait_gets_one() => Assert.InRange(New(7).Next(TimeSpan.Zero), Second, Second * 1.5);

    private static Backoff New(int seed) => new(Second, TimeSpan.FromMinutes(1), new Random(seed));
}
