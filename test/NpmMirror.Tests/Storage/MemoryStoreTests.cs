using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class MemoryStoreTests : MetadataStoreContract
{
    protected override IMetadataStore Create(TimeProvider timeProvider) => new MemoryStore(timeProvider);

    [Claim("Compatibility C5: memory starts from nothing each time",
        Red = "the packages are kept beyond the store")]
    [Fact]
    public async Task Starts_from_nothing_each_time()
    {
        await CommitAsync("express", 0, "{}");
        Assert.Null(await (await OpenAnotherAsync()).Packages.FindAsync(Name("express"), Cancellation));
    }
}
