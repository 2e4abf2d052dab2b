using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class StoreLocationTests
{
    [Theory]
    [InlineData("Sqlite", "Sqlite", null)]
    [InlineData("memory:", "memory", null)]
    [InlineData("sqlite:/data", "sqlite", "/data")]
    [InlineData("sqlite:///data", "sqlite", "/data")]
    [InlineData("sqlite:./data", "sqlite", "./data")]
    [InlineData("sqlite:C:\\data", "sqlite", "C:\\data")]
    [InlineData("postgres://me:secret@db:5432/npm", "postgres", "postgres://me:secret@db:5432/npm")]
    [InlineData("s3://bucket/prefix", "s3", "s3://bucket/prefix")]
    public void Reads_names_and_locations(string text, string engine, string? address) =>
        Assert.Equal(new StoreLocation(engine, address), StoreLocation.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("C:\\data")]
    [InlineData("/data")]
    [InlineData("./data")]
    public void Says_how_a_location_is_written(string text)
    {
        var e = Assert.Throws<MirrorException>(() => StoreLocation.Parse(text));
        Assert.Equal(MirrorFault.Configuration, e.Fault);
        Assert.Contains("sqlite:/var/lib/npm-mirror", e.Message, StringComparison.Ordinal);
    }

    [Claim("A store's location is shown without its password, whatever characters that has",
        Red = "`StoreLocation` looks for the password before the first slash (as before)")]
    [Theory]
    [InlineData("postgres://me:secret@db/npm?password=secret", "postgres://db/npm")]
    [InlineData("redis://:se@cret@db", "redis://db")]
    [InlineData("postgres://me:se/cret@db/npm", "postgres://db/npm")]
    [InlineData("postgres://me:se/cr@et@db/npm?password=secret", "postgres://db/npm")]
    [InlineData("postgres://me:se?cret@db/npm", "postgres://…")]
    [InlineData("postgres://db/npm?password=se@cret", "postgres://…")]
    [InlineData("sqlite:/data", "sqlite:/data")]
    [InlineData("memory", "memory:")]
    public void Shows_no_secrets(string text, string shown) => Assert.Equal(shown, StoreLocation.Parse(text).ToString());
}
