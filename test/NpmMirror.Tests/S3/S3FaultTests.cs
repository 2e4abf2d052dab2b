using System.Security.Cryptography;
using System.Text;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.S3;

/// <summary>What goes wrong between the mirror and its bucket.</summary>
public sealed class S3FaultTests : IAsyncLifetime
{
    private static readonly (string, string) Kept = ("cacheBytes", "1000000");

    private readonly TestFolder _folder = new();
    private readonly List<IBlobStore> _opened = [];
    private FakeS3 _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await FakeS3.StartAsync(cancellationToken: Cancelled);

    public async ValueTask DisposeAsync()
    {
        _opened.ForEach(store => ((IDisposable)store).Dispose());
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A bucket's server that is away, or refuses, is told in a sentence that names what to do, and no secret",
        With = [nameof(A_server_that_is_away_is_unavailable), nameof(A_full_or_forbidden_bucket_is_read_only)],
        Red = "`S3Faults.Explain` tells the SDK's own message: the first was red")]
    [Theory]
    [InlineData("secretKey", "mirror-secreT", "does not accept the key (SignatureDoesNotMatch)")]
    [InlineData("accessKey", "nobody", "does not accept the key (InvalidAccessKeyId)")]
    public async Task A_wrong_key_is_told(string option, string value, string told)
    {
        var store = Open((option, value));
        var fault = await Assert.ThrowsAsync<MirrorException>(() => PutAsync(store, "x"));
        Assert.Equal(MirrorFault.StoreUnavailable, fault.Fault);
        Assert.Contains(told, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(value, fault.Message, StringComparison.Ordinal);
        Assert.Equal(fault.Message, await store.CheckWritableAsync(Cancelled));
    }

    [Fact]
    public async Task A_bucket_that_is_not_there_is_told()
    {
        var store = TestBucket.Open("s3://elsewhere/", _folder.Path, ("endpoint", _server.Url.AbsoluteUri), ("accessKey", _server.AccessKey), ("secretKey", _server.SecretKey));
        _opened.Add(store);
        Assert.Contains("There is no bucket for s3://elsewhere/", (await Assert.ThrowsAsync<MirrorException>(() => PutAsync(store, "x"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_away_is_unavailable()
    {
        var store = Open();
        var sha512 = await PutAsync(store, "held");
        await _server.DisposeAsync();
        Assert.Equal(MirrorFault.StoreUnavailable, (await Assert.ThrowsAsync<MirrorException>(async () => await store.OpenAsync(sha512, Cancelled))).Fault);
        Assert.Contains("cannot be reached", await store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
        _server = await FakeS3.StartAsync(cancellationToken: Cancelled);
    }

    [Theory]
    [InlineData(403, "AccessDenied", "the right to get, put, delete and list")]
    [InlineData(507, "QuotaExceeded", "is full")]
    public async Task A_full_or_forbidden_bucket_is_read_only(int status, string code, string told)
    {
        var store = Open();
        var sha512 = await PutAsync(store, "held");
        _server.Troubles.Add(new FakeS3Trouble { Method = "PUT", Status = status, Code = code });
        var fault = await Assert.ThrowsAsync<MirrorException>(() => PutAsync(store, "more"));
        Assert.Equal(MirrorFault.StoreReadOnly, fault.Fault);
        Assert.Contains(told, fault.Message, StringComparison.Ordinal);
        Assert.Equal("held", await ReadAsync(store, sha512));
    }

    [Fact]
    public async Task A_machine_whose_clock_is_wrong_is_told()
    {
        _server.Time = new FakeClock(TimeProvider.System.GetUtcNow().AddHours(1));
        // The SDK learns the server's clock from its answers; a server that tells none leaves it wrong.
        var fault = await Assert.ThrowsAsync<MirrorException>(() => PutAsync(Open(), "x"));
        Assert.Contains("this machine's clock is wrong", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(503, "SlowDown")]
    [InlineData(500, "InternalError")]
    public async Task Trouble_of_a_moment_is_waited_out(int status, string code)
    {
        var store = Open();
        _server.Troubles.Add(new FakeS3Trouble { Method = "PUT", Status = status, Code = code, Times = 2 });
        Assert.Equal("body", await ReadAsync(store, await PutAsync(store, "body")));
        Assert.True(_server.Requests.Count(request => request.StartsWith("PUT ", StringComparison.Ordinal)) >= 3);
    }

    [Claim("An answer of the bucket that breaks off is gone on with where it stopped; one that does not get ahead is a failure and never a short tarball",
        With = [nameof(An_answer_that_never_gets_ahead_is_a_failure)],
        Red = "`S3BlobReader.ReadAsync` gives what has come: both were red")]
    [Fact]
    public async Task An_answer_that_breaks_off_is_gone_on_with()
    {
        var store = Open();
        var text = string.Concat(Enumerable.Range(0, 20_000));
        var sha512 = await PutAsync(store, text);
        _server.Troubles.Add(new FakeS3Trouble { Method = "GET", CutAfterBytes = 30_000, Times = 3 });
        Assert.Equal(text, await ReadAsync(store, sha512));
    }

    [Fact]
    public async Task An_answer_that_never_gets_ahead_is_a_failure()
    {
        var store = Open();
        var sha512 = await PutAsync(store, "never whole");
        _server.Troubles.Add(new FakeS3Trouble { Method = "GET", CutAfterBytes = 0 });
        Assert.Equal(MirrorFault.StoreUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => ReadAsync(store, sha512))).Fault);
    }

    [Claim("A tarball that is put while a collector deletes its like is there afterwards",
        With = [nameof(A_blob_that_is_marked_while_it_is_put_stays)],
        Red = "`S3BlobStore.PublishAsync` does not look for what it has put: the first was red; it leaves the mark: the second")]
    [Fact]
    public async Task A_blob_that_a_collector_deletes_while_it_is_put_is_put_again()
    {
        var store = Open();
        var sha512 = await PutAsync(store, "wanted");
        var condemned = (await store.CondemnAsync(sha512, Cancelled))!;
        var puts = 0;
        // The collector looked at its mark before the bytes came anew, and deletes after it.
        _server.Before = async (method, target) =>
        {
            if (method == "HEAD" && target.Contains("/condemned/", StringComparison.Ordinal) && Interlocked.Increment(ref puts) == 1)
            {
                _server.Before = null;
                await condemned.DeleteAsync(Cancelled);
            }
        };
        Assert.Equal(sha512, await PutAsync(store, "wanted"));
        Assert.Equal("wanted", await ReadAsync(store, sha512));
    }

    [Fact]
    public async Task A_blob_that_is_marked_while_it_is_put_stays()
    {
        var store = Open();
        var sha512 = await PutAsync(store, "wanted");
        var condemned = (await store.CondemnAsync(sha512, Cancelled))!;
        await PutAsync(store, "wanted");
        await condemned.DeleteAsync(Cancelled);
        Assert.Equal("wanted", await ReadAsync(store, sha512));
        Assert.True(await store.ExistsAsync(sha512, Cancelled));
    }

    [Fact]
    public async Task A_mark_whose_object_is_gone_is_cleared()
    {
        var store = Open();
        var sha512 = await PutAsync(store, "gone");
        await store.CondemnAsync(sha512, Cancelled);
        _server.Objects.TryRemove(_server.Objects.Keys.Single(key => key.Contains("/blobs/", StringComparison.Ordinal)), out _);
        Assert.Empty(await store.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
        Assert.Empty(_server.Objects);
    }

    [Claim("A tarball longer than 64 MB goes in parts, and an upload that fails is dropped; what a dead process left is removed after a day",
        With = [nameof(An_upload_that_fails_is_dropped), nameof(Uploads_that_were_left_are_removed_after_a_day)],
        Red = "`S3Upload` does not abandon what failed: the second was red; `RemoveUnfinishedAsync` takes uploads of any age: the last")]
    [Fact]
    public async Task A_long_blob_goes_in_parts()
    {
        var store = Open();
        var bytes = RandomNumberGenerator.GetBytes((64 << 20) + 5);
        await using var writer = await store.CreateAsync(Cancelled);
        await writer.AppendAsync(bytes, Cancelled);
        await writer.CommitAsync(Cancelled);
        Assert.Equal(5, _server.Requests.Count(request => request.Contains("partNumber=", StringComparison.Ordinal)));
        Assert.Empty(_server.Uploads);
        Assert.True(Assert.Single(_server.Objects).Value.Bytes.AsSpan().SequenceEqual(bytes));
    }

    [Fact]
    public async Task An_upload_that_fails_is_dropped()
    {
        var store = Open();
        _server.Troubles.Add(new FakeS3Trouble { Method = "PUT", Path = "partNumber=3", Status = 403, Code = "AccessDenied" });
        await using var writer = await store.CreateAsync(Cancelled);
        await writer.AppendAsync(new byte[(64 << 20) + 5], Cancelled);
        await Assert.ThrowsAsync<MirrorException>(async () => await writer.CommitAsync(Cancelled));
        Assert.Empty(_server.Uploads);
        Assert.Empty(_server.Objects);
    }

    [Fact]
    public async Task Uploads_that_were_left_are_removed_after_a_day()
    {
        var store = Open();
        _server.Uploads["old"] = new FakeS3Upload("a mirror/blobs/aa/bb/x", TimeProvider.System.GetUtcNow().AddHours(-25), new());
        _server.Uploads["young"] = new FakeS3Upload("a mirror/blobs/aa/bb/y", TimeProvider.System.GetUtcNow().AddHours(-23), new());
        Assert.Equal(1, (await store.RemoveUnfinishedAsync(isDryRun: true, Cancelled)).Count);
        Assert.Equal(2, _server.Uploads.Count);
        Assert.Equal(1, (await store.RemoveUnfinishedAsync(isDryRun: false, Cancelled)).Count);
        Assert.Equal("young", Assert.Single(_server.Uploads).Key);
    }

    [Claim("Tarballs that were read are kept on this machine within `cacheBytes`, the ones read last; what was damaged on the way is not",
        With = [nameof(Kept_bytes_stay_within_their_bound), nameof(Bytes_damaged_on_the_way_are_not_kept), nameof(Files_of_an_earlier_run_are_known)],
        Red = "`S3Cache.KeepAsync` drops nothing: the second")]
    [Fact]
    public async Task A_blob_read_once_is_read_from_this_machine_with_the_same_date()
    {
        var sha512 = await PutAsync(Open(), "popular");
        var store = Open(Kept);
        var stored = await StoredAtAsync(store, sha512);
        Assert.Equal("popular", await ReadAsync(store, sha512));
        _server.Requests.Clear();
        Assert.Equal("popular", await ReadAsync(store, sha512));
        Assert.Equal(stored, await StoredAtAsync(store, sha512));
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task Kept_bytes_stay_within_their_bound()
    {
        var store = Open(("cacheBytes", "400"));
        var hashes = new List<Digest>();
        for (var i = 0; i < 6; i++)
        {
            hashes.Add(await PutAsync(store, new string((char)('a' + i), 100)));
            await ReadAsync(store, hashes[0]);
        }

        _server.Requests.Clear();
        Assert.Equal(new string('a', 100), await ReadAsync(store, hashes[0]));
        Assert.Equal(new string('f', 100), await ReadAsync(store, hashes[5]));
        Assert.Empty(_server.Requests);
        Assert.Equal(new string('b', 100), await ReadAsync(store, hashes[1]));
        Assert.NotEmpty(_server.Requests);
        Assert.InRange(Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length), 300, 400);
    }

    [Fact]
    public async Task Bytes_damaged_on_the_way_are_not_kept()
    {
        var sha512 = await PutAsync(Open(), "right");
        var (key, right) = _server.Objects.Single();
        _server.Objects[key] = right with { Bytes = "wrong"u8.ToArray() };
        var store = Open(Kept);
        Assert.Equal("wrong", await ReadAsync(store, sha512));
        _server.Objects[key] = right;
        Assert.Equal("right", await ReadAsync(store, sha512));
    }

    [Fact]
    public async Task Files_of_an_earlier_run_are_known()
    {
        var before = Open(Kept);
        var sha512 = await PutAsync(before, "kept");
        ((IDisposable)before).Dispose();
        _opened.Remove(before);
        var store = Open(Kept);
        _server.Requests.Clear();
        Assert.Equal("kept", await ReadAsync(store, sha512));
        Assert.Empty(_server.Requests);
    }

    [Claim("Wrong settings of a bucket are told before anything is asked", With = [nameof(An_option_that_is_wrong_is_told)])]
    [Theory]
    [InlineData("s3:")]
    [InlineData("s3://")]
    [InlineData("s3://key:secret@bucket/")]
    [InlineData("s3://bucket/?secret=x")]
    public void An_address_without_a_bucket_is_told(string address)
    {
        var fault = Assert.Throws<MirrorException>(() => TestBucket.Open(address, _folder.Path));
        Assert.Equal(MirrorFault.Configuration, fault.Fault);
        Assert.DoesNotContain("secret", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bukket", "x", "bukket")]
    [InlineData("endpoint", "nowhere", "endpoint is no address")]
    [InlineData("pathStyle", "maybe", "pathStyle is “maybe”")]
    [InlineData("cacheBytes", "-1", "cacheBytes is “-1”")]
    [InlineData("accessKey", "alone", "belong together")]
    [InlineData("caFile", "/nowhere/ca.pem", "caFile names “/nowhere/ca.pem”, which cannot be read")]
    public void An_option_that_is_wrong_is_told(string name, string value, string told)
    {
        var fault = Assert.Throws<MirrorException>(() => TestBucket.Open("s3://bucket", _folder.Path, (name, value)));
        Assert.Equal(MirrorFault.Configuration, fault.Fault);
        Assert.Contains(told, fault.Message, StringComparison.Ordinal);
    }

    private IBlobStore Open(params (string Name, string Value)[] options)
    {
        var store = TestBucket.Open(_server, _folder.Path, [("cacheBytes", "0"), .. options]);
        _opened.Add(store);
        return store;
    }

    private static async Task<Digest> PutAsync(IBlobStore store, string text)
    {
        await using var writer = await store.CreateAsync(Cancelled);
        await writer.AppendAsync(Encoding.UTF8.GetBytes(text), Cancelled);
        return await writer.CommitAsync(Cancelled);
    }

    private static async Task<string> ReadAsync(IBlobStore store, Digest sha512)
    {
        await using var blob = await store.OpenAsync(sha512, Cancelled);
        var bytes = new byte[blob!.LengthBytes];
        Assert.Equal(bytes.Length, await blob.ReadAsync(0, bytes, Cancelled));
        return Encoding.UTF8.GetString(bytes);
    }

    private static async Task<DateTimeOffset?> StoredAtAsync(IBlobStore store, Digest sha512)
    {
        await using var blob = await store.OpenAsync(sha512, Cancelled);
        return blob!.StoredAt;
    }
}
