using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Tests.Redis;

/// <summary>The classic keys, as the programs of others read them.</summary>
public sealed class RedisClassicTests(RedisServer server) : IClassFixture<RedisServer>, IAsyncLifetime
{
    private const string Json = """{"name":"left-pad","versions":{},"readme":"ä"}""";
    private readonly string _location = server.NewLocation();
    private IMetadataStore _store = null!;
    private ConnectionMultiplexer _other = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private IDatabase Other => _other.GetDatabase();

    private string Prefix => _location[(_location.IndexOf('=', StringComparison.Ordinal) + 1)..];

    public async ValueTask InitializeAsync()
    {
        _other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        _store = await OpenAsync(_location);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Claim("Compatibility C3: in Redis the packument is a JSON string under its classic key, whatever form it came in",
        Red = "`RedisCommits.Shape` gives the document back as it came: red")]
    [Theory]
    [InlineData(DocumentCodec.Zstandard)]
    [InlineData(DocumentCodec.Brotli)]
    [InlineData(DocumentCodec.Gzip)]
    [InlineData(DocumentCodec.Identity)]
    public async Task Has_the_packument_as_json_under_its_classic_key(DocumentCodec codec)
    {
        await CommitAsync(0, Json, codec);
        Assert.Equal(Json, await Other.StringGetAsync($"{Prefix}module:left-pad"));
        var read = await _store.Packages.ReadAsync(Name, Cancelled);
        Assert.Equal(Json, Encoding.UTF8.GetString(read!.Document.Bytes.Span));
        Assert.Equal(Digest.OfSha256(Encoding.UTF8.GetBytes(Json)), read.Document.Sha256);
    }

    [Claim("Compatibility C3: a removed package leaves its classic key for its tombstone, and comes back",
        Red = "the tombstone not deleted by `RedisNumbering.ListAsync`: red")]
    [Fact]
    public async Task Moves_a_removed_package_to_its_tombstone_and_back()
    {
        await CommitAsync(0, Json);
        await CommitAsync(1, null, removal: RemovalKind.Gone);
        Assert.False(await Other.KeyExistsAsync($"{Prefix}module:left-pad"));
        Assert.Equal(Json, await Other.StringGetAsync($"{Prefix}module/deleted:left-pad"));
        Assert.Equal(Json, Encoding.UTF8.GetString((await _store.Packages.ReadAsync(Name, Cancelled))!.Document.Bytes.Span));

        await CommitAsync(2, null);
        Assert.Equal(Json, await Other.StringGetAsync($"{Prefix}module:left-pad"));
        Assert.False(await Other.KeyExistsAsync($"{Prefix}module/deleted:left-pad"));
    }

    [Fact]
    public async Task Leaves_no_tombstone_of_a_removal_that_came_too_late()
    {
        await CommitAsync(0, Json);
        await CommitAsync(1, Json + " ");
        var late = await _store.Packages.CommitAsync(NewCommit(1, null, removal: RemovalKind.Gone), Cancelled);
        Assert.False(late.IsCommitted);
        Assert.False(await Other.KeyExistsAsync($"{Prefix}module/deleted:left-pad"));
    }

    [Fact]
    public async Task Has_the_handled_sequence_under_its_classic_key()
    {
        await _store.Notes.SetNoteAsync("seq:last_seq", "4711", Cancelled);
        Assert.Equal("4711", await Other.StringGetAsync($"{Prefix}seq:last_seq"));
        await Other.StringSetAsync($"{Prefix}seq:last_seq", "4712");
        Assert.Equal("4712", await _store.Notes.FindNoteAsync("seq:last_seq", Cancelled));
        Assert.Equal([new NoteMark("seq:last_seq", 4)], await _store.Notes.ListNotesAsync("seq", Cancelled).ToListAsync(Cancelled));
    }

    [Fact]
    public async Task Stores_it_compressed_where_the_layout_is_compact()
    {
        await using var compact = await OpenAsync(_location + "&layout=compact");
        var long1 = $$"""{"name":"left-pad","readme":"{{new string('x', 10_000)}}"}""";
        await CommitAsync(0, long1, store: compact);
        Assert.False(await Other.KeyExistsAsync($"{Prefix}module:left-pad"));
        var read = await compact.Packages.ReadAsync(Name, Cancelled);
        Assert.True(read!.Document.Bytes.Length < 1_000);

        // Either reads what the other wrote, and the next commit moves it.
        Assert.Equal(DocumentCodec.Brotli, (await _store.Packages.ReadAsync(Name, Cancelled))!.Document.Codec);
        await CommitAsync(1, long1 + " ");
        Assert.Equal(long1 + " ", await Other.StringGetAsync($"{Prefix}module:left-pad"));
        Assert.Equal(DocumentCodec.Identity, (await compact.Packages.ReadAsync(Name, Cancelled))!.Document.Codec);
    }

    [Fact]
    public async Task Archives_a_long_document_compressed()
    {
        var first = $$"""{"name":"left-pad","readme":"{{new string('x', 10_000)}}"}""";
        await CommitAsync(0, first);
        var second = await _store.Packages.CommitAsync(NewCommit(1, Json) with { ArchivesPrevious = true }, Cancelled);
        Assert.True(second.IsCommitted);
        var archived = await _store.Packages.ReadArchivedAsync(Name, Digest.OfSha256(Encoding.UTF8.GetBytes(first)), Cancelled);
        Assert.Equal(DocumentCodec.Zstandard, archived!.Codec);
        Assert.Equal(first, Encoding.UTF8.GetString(archived.As(DocumentCodec.Identity, Name).Bytes.Span));
    }

    [Claim("A packument in Redis that another program changed or took away is damage of that package, and the next fetch mends it",
        Red = "`RedisRow.Read` does not look at the length: red")]
    [Theory]
    [InlineData("{}")]
    [InlineData(null)]
    public async Task Finds_that_another_program_changed_the_packument(string? text)
    {
        await CommitAsync(0, Json);
        await (text is null ? Other.KeyDeleteAsync($"{Prefix}module:left-pad") : Other.StringSetAsync($"{Prefix}module:left-pad", text));
        Assert.NotNull((await _store.Packages.FindAsync(Name, Cancelled))!.Damage);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await _store.Packages.ReadAsync(Name, Cancelled));
        Assert.Equal(MirrorFault.StoreDamaged, failure.Fault);
        await CommitAsync(1, Json);
        Assert.Null((await _store.Packages.FindAsync(Name, Cancelled))!.Damage);
    }

    [Fact]
    public async Task Keeps_a_document_of_60_megabytes()
    {
        var bytes = new byte[60_000_000];
        new Random(1).NextBytes(bytes);
        var document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes));
        await _store.Packages.CommitAsync(NewCommit(0, "{}") with { Document = document }, Cancelled);
        Assert.True((await _store.Packages.ReadAsync(Name, Cancelled))!.Document.Bytes.Span.SequenceEqual(bytes));
    }

    private static PackageName Name => PackageName.Parse("left-pad");

    private static async Task<IMetadataStore> OpenAsync(string location)
    {
        var store = RedisStores.Create(location);
        await store.OpenAsync(Cancelled);
        return store;
    }

    private async Task CommitAsync(long expectedGeneration, string? json, DocumentCodec codec = DocumentCodec.Brotli, RemovalKind? removal = null, IMetadataStore? store = null) =>
        Assert.True((await (store ?? _store).Packages.CommitAsync(NewCommit(expectedGeneration, json, codec, removal), Cancelled)).IsCommitted);

    private static PackageCommit NewCommit(long expectedGeneration, string? json, DocumentCodec codec = DocumentCodec.Brotli, RemovalKind? removal = null)
    {
        var bytes = Encoding.UTF8.GetBytes(json ?? "");
        return new PackageCommit
        {
            Name = Name,
            ExpectedGeneration = expectedGeneration,
            Facts = new PackageFacts { Removal = removal, FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch },
            Document = json is null ? null : new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)).As(codec, Name),
            Events = [new PendingEvent { Ordinal = 0, Type = EventTypes.MetadataChanged, SeenAt = DateTimeOffset.UnixEpoch, Payload = "{}"u8.ToArray() }],
        };
    }
}
