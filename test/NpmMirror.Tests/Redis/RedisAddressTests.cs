using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>Locations and options, as far as they are told without a server.</summary>
public sealed class RedisAddressTests
{
    [Claim("Compatibility C3: host, port, db, prefix and password by location or option; a wrong or doubled one is told, a password never",
        With = [nameof(Refuses_a_value_that_it_cannot_read)])]
    [Theory]
    [InlineData(null, "redis://127.0.0.1:6379/0")]
    [InlineData("redis://db.example.org", "redis://db.example.org:6379/0")]
    [InlineData("redis://db.example.org:7000/3", "redis://db.example.org:7000/3")]
    [InlineData("rediss://user:p%40ss@db.example.org/?prefix=npm:", "rediss://db.example.org:6379/0?prefix=npm:")]
    [InlineData("redis://:p@one,two:7001,[::1]:7002/", "redis://one:6379,two:7001,::1:7002/0")]
    [InlineData("redis://u:pa/ss:w@rd@db:7000/1", "redis://db:7000/1")]
    [InlineData("redis://u:p@one,two:7001/1?sentinel=mymaster&prefix=npm:&sentinelPassword=s", "redis://one:26379,two:7001/1?prefix=npm:&sentinel=mymaster")]
    [InlineData("/2", "redis://127.0.0.1:6379/2")]
    public void Reads_a_location(string? location, string told) => Assert.Equal(told, RedisStores.Create(location!).Location);

    [Fact]
    public void Reads_options() =>
        Assert.Equal("redis://db:12093/1?prefix=npm:", RedisStores.Create(null!, options: [("host", "db"), ("port", "12093"), ("db", "1"), ("prefix", "npm:"), ("password", "x"), ("layout", "compact")]).Location);

    [Theory]
    [InlineData("redis://:s3cr3t@db:port/", "port “port”; give a number from 1 to 65535")]
    [InlineData("redis://:s3cr3t@db/one", "db “one”; give a number from 0")]
    [InlineData("redis://:s3cr3t@db/?colour=red", "“colour” after its question mark; it knows host, port, db")]
    [InlineData("redis://:s3cr3t@db/?layout=tiny", "layout “tiny”; give classic or compact")]
    [InlineData("redis://:s3cr3t@db/?prefix={npm}", "prefix “{npm}”; give a text without { and }")]
    [InlineData("redis://:s3cr3t@db/0?db=1", "both give db; keep one")]
    [InlineData("redis://db/?sentinel=", "sentinel “”; give the name under which the sentinels know the master")]
    [InlineData("redis://db/?sentinelPassword=s3cr3t", "has a user or a password for sentinels, and no sentinel")]
    [InlineData("redis://:s3/cr3t@db:x/", "port “x”")]
    [InlineData("redis://:a?s3cr3t@db/", "write a question mark of the password as %3F")]
    public void Refuses_a_value_that_it_cannot_read(string location, string told)
    {
        var failure = Assert.Throws<MirrorException>(() => RedisStores.Create(location));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains(told, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cr3t", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_an_option_that_the_location_gives_too()
    {
        var failure = Assert.Throws<MirrorException>(() => RedisStores.Create("redis://db/", options: [("host", "other")]));
        Assert.Contains("both give host; keep one", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Redis")]
    [InlineData("redis://db/0")]
    [InlineData("rediss://db/0")]
    public void Is_found_by_name_and_by_scheme(string text) =>
        Assert.StartsWith("redis", new MetadataEngines(new NpmMirror.Redis.RedisEngine()).Create(new NpmMirror.Options.StoreOptions { Engine = text }, "/nowhere", TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance).Location, StringComparison.Ordinal);
}
