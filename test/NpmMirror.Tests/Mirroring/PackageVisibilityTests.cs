using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tests.Maintenance;
using NpmMirror.Visibility;

namespace NpmMirror.Tests.Mirroring;

/// <summary>Which stored tarballs are not served, and for how long that is believed.</summary>
public sealed class PackageVisibilityTests : IAsyncDisposable
{
    private const string Old = "left-pad-1.0.0.tgz";
    private const string Holder = "left-pad-0.0.1-security.tgz";

    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private readonly FakeClock _clock = new();
    private readonly PackageNews _news = new();
    private readonly MemoryStore _store;
    private int _reads;

    public PackageVisibilityTests() => _store = new MemoryStore(_clock);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Theory]
    [InlineData(null, RemovedMode.Hide, Old, null)]
    [InlineData(RemovalKind.Unpublished, RemovedMode.Hide, Old, null)]
    [InlineData(RemovalKind.Gone, RemovedMode.Hide, Old, null)]
    [InlineData(RemovalKind.Blocked, RemovedMode.Hide, Old, "blocked for legal reasons (because)")]
    [InlineData(RemovalKind.Blocked, RemovedMode.Purge, Old, "blocked for legal reasons (because)")]
    [InlineData(RemovalKind.Blocked, RemovedMode.Keep, Old, null)]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Hide, Old, "security holding package (because); its earlier versions")]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Purge, Old, "security holding package (because); its earlier versions")]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Keep, Old, null)]
    [InlineData(RemovalKind.SecurityHolder, RemovedMode.Hide, Holder, null)]
    [InlineData(RemovalKind.Blocked, RemovedMode.Hide, Holder, "blocked for legal reasons (because)")]
    public async Task Which_tarballs_are_hidden_depends_on_the_removal_and_the_option(RemovalKind? removal, RemovedMode mode, string file, string? refusal)
    {
        var options = new MirrorOptions();
        (options.Removed.Blocked, options.Removed.SecurityHolder) = (mode, mode);
        var visible = Visible(options);
        await WriteAsync(removal);
        var found = await visible.FindTarballAsync(Name, file, Token);
        Assert.Equal(refusal is null, found is null);
        Assert.Equal(refusal is null ? null : 451, found?.Status);
        Assert.Contains(refusal ?? "", found?.Reason ?? "", StringComparison.Ordinal);
        Assert.Equal(refusal is null, visible.IsTarballKnownToBeShown(Name, file));
        if (file == Old)
        {
            Assert.Equal(found, visible.Rules.OfPast((await _store.FindAsync(Name, Token))!));
        }
    }

    [Fact]
    public async Task No_tarball_is_known_to_be_shown_that_was_not_looked_up()
    {
        var visible = Visible();
        await WriteAsync(null);
        Assert.False(visible.IsTarballKnownToBeShown(Name, Old));
        Assert.Null(await visible.FindTarballAsync(Name, Old, Token));
        Assert.True(visible.IsTarballKnownToBeShown(Name, Old));
    }

    [Fact]
    public async Task What_was_looked_up_is_remembered_until_the_package_changes()
    {
        var visible = Visible();
        await WriteAsync(null);
        await visible.FindTarballAsync(Name, Old, Token);
        await visible.FindTarballAsync(Name, Old, Token);
        _news.TellChanged(PackageName.Parse("another"));
        await visible.FindTarballAsync(Name, Old, Token);
        Assert.Equal(1, _reads);

        await WriteAsync(RemovalKind.Blocked);
        _news.TellChanged(Name);
        Assert.False(visible.IsTarballKnownToBeShown(Name, Old));
        Assert.NotNull(await visible.FindTarballAsync(Name, Old, Token));
        Assert.Equal(2, _reads);
    }

    [Fact]
    public async Task When_anything_may_have_changed_all_is_looked_up_anew()
    {
        var visible = Visible();
        await WriteAsync(null);
        await visible.FindTarballAsync(Name, Old, Token);
        await WriteAsync(RemovalKind.Blocked);
        _news.TellAllChanged();
        Assert.False(visible.IsTarballKnownToBeShown(Name, Old));
        Assert.NotNull(await visible.FindTarballAsync(Name, Old, Token));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_read_before_a_change_is_not_remembered_after_it(bool isAll)
    {
        var isChanged = false;
        var visible = Visible(afterRead: async () =>
        {
            if (!isChanged)
            {
                isChanged = true;
                await WriteAsync(RemovalKind.Blocked);
                if (isAll)
                {
                    _news.TellAllChanged();
                }
                else
                {
                    _news.TellChanged(Name);
                }
            }
        });
        await WriteAsync(null);
        Assert.Null(await visible.FindTarballAsync(Name, Old, Token));
        Assert.False(visible.IsTarballKnownToBeShown(Name, Old));
        Assert.NotNull(await visible.FindTarballAsync(Name, Old, Token));
    }

    private PackageVisibility Visible(MirrorOptions? options = null, Func<ValueTask>? afterRead = null)
    {
        var store = HookedStore.Over(
            _store,
            async (_, isBefore) =>
            {
                _reads += isBefore ? 1 : 0;
                if (!isBefore && afterRead is not null)
                {
                    await afterRead();
                }
            },
            nameof(IMetadataStore.FindAsync));
        return new PackageVisibility(store, _news, options ?? new MirrorOptions());
    }

    /// <summary>Writes the package as it is after a removal of this kind: only its holding version is listed.</summary>
    private async Task WriteAsync(RemovalKind? removal)
    {
        var document = """{"name":"left-pad","versions":{"0.0.1-security":{"name":"left-pad","version":"0.0.1-security"}}}"""u8.ToArray();
        var commit = new PackageCommit
        {
            Name = Name,
            ExpectedGeneration = (await _store.FindAsync(Name, Token))?.Generation ?? 0,
            Facts = new PackageFacts { Removal = removal, RemovalReason = removal is null ? null : "because", FirstSeenAt = _clock.GetUtcNow(), StoredAt = _clock.GetUtcNow() },
            Document = DocumentCodecs.Encode(document),
            Index = PackumentReader.Read(document, Name).Index.ToBytes(),
            Events = [],
        };
        Assert.True((await _store.CommitAsync(commit, Token)).IsCommitted);
    }
}
