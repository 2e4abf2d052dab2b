using System.Text;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Tests.AspNetCore;

public sealed class RememberedRenditionTests
{
    [Claim("The head of a remembered answer tells the length of the bytes that follow it, also when the cache lets them go or replaces them in between",
        Red = "the head asks the rendition for its length instead of the bytes to be sent")]
    [Fact]
    public async Task The_head_tells_the_length_of_the_bytes_even_if_the_cache_drops_them()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(1_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        var name = PackageName.Parse("ms");
        var package = cache.Keep((await store.Packages.FindAsync(name, TestContext.Current.CancellationToken))!, cache.Ticket(name));
        var rendition = cache.Rendition(package, new RenditionKey(View.Live, PackumentForm.Full, null, "http://127.0.0.1/npm", ContentCoding.Gzip));
        var bytes = await cache.BodyAsync(rendition, TestContext.Current.CancellationToken);
        var answer = new RememberedRendition(rendition, _ => true, new CrossOriginPolicy(isAllowed: true));
        Assert.True(answer.TryBegin(default, null, out var body));

        cache.DropAll();
        var head = new byte[RememberedAnswer.HeadMaxBytes];
        var length = answer.WriteHead(head, body, "\r\n"u8);
        Assert.Same(bytes, body.Bytes);
        Assert.Contains($"\r\nContent-Length: {bytes!.Length}\r\n", Encoding.ASCII.GetString(head, 0, length), StringComparison.Ordinal);
    }
}
