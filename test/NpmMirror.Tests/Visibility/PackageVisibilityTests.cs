using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tests.Maintenance;
using NpmMirror.Visibility;

namespace NpmMirror.Tests.Visibility;

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

    [Claim("A removed package that is shown has its document's revision, and all those before it",
        Red = "`VisibilityRules.AsShown` gives one ancestor only")]
    [Theory]
    [InlineData("3-c 2-b 1-a", "3-c", "2-b 1-a")]
    [InlineData("1-a", "1-a", null)]
    [InlineData(null, "4-d", null)]
    [InlineData("", "4-d", null)]
    public async Task A_shown_package_has_the_revisions_before_its_removal(string? ancestors, string rev, string? before)
    {
        await WriteAsync(RemovalKind.Gone);
        var row = (await _store.Packages.FindAsync(Name, Token))!;
        var shown = new VisibilityRules(new RemovedOptions { Gone = RemovedMode.Keep }).AsShown(row with { Facts = row.Facts with { Rev = "4-d", Ancestors = ancestors } });
        Assert.Equal((null, rev, before), (shown.Facts.Removal, shown.Facts.Rev, shown.Facts.Ancestors));
    }

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
            Assert.Equal(found, visible.Rules.OfPast((await _store.Packages.FindAsync(Name, Token))!));
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
    public async Task A_decision_is_remembered_until_the_package_changes()
    {
        var visible = Visible();
        await WriteAsync(null);
        await visible.FindTarballAsync(Name, Old, Token);
        await visible.FindTarballAsync(Name, Old, Token);
        _news.TellChanged(PackageName.Parse("another"), 1);
        await visible.FindTarballAsync(Name, Old, Token);
        Assert.Equal(1, _reads);

        await WriteAsync(RemovalKind.Blocked);
        _news.TellChanged(Name, 1);
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

    [Claim("Which tarballs are hidden is decided anew after each change of a package, also when it comes while it is being decided",
        With = [nameof(A_decision_is_remembered_until_the_package_changes)],
        Red = "what was read before the change is remembered")]
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
                    _news.TellChanged(Name, 1);
                }
            }
        });
        await WriteAsync(null);
        Assert.Null(await visible.FindTarballAsync(Name, Old, Token));
        Assert.False(visible.IsTarballKnownToBeShown(Name, Old));
        Assert.NotNull(await visible.FindTarballAsync(Name, Old, Token));
    }

    [Theory]
    [InlineData("", "a b c", "d e")]
    [InlineData("b", "b c", "d e")]
    [InlineData("bb", "c", "d e")]
    [InlineData("d", "", "d e")]
    [InlineData("dd", "", "e")]
    public async Task Lists_show_kept_removals_as_living_and_hide_the_others(string from, string shown, string hidden)
    {
        var options = new MirrorOptions();
        options.Removed.Unpublished = RemovedMode.Keep;
        var visible = Visible(options);
        await WriteAllAsync();
        Assert.Equal(shown, string.Join(' ', await visible.ListMarksAsync(from, isHidden: false, Token).Select(mark => mark.Name).ToListAsync(Token)));
        Assert.Equal(hidden, string.Join(' ', await visible.ListMarksAsync(from, isHidden: true, Token).Select(mark => mark.Name).ToListAsync(Token)));
    }

    [Fact]
    public async Task Rows_and_counts_say_the_same_whether_any_kind_is_kept_or_none()
    {
        var keeping = new MirrorOptions();
        keeping.Removed.Unpublished = RemovedMode.Keep;
        var (kept, none) = (Visible(keeping), Visible());
        await WriteAllAsync();
        Assert.Equal(("a b c", "d e", "c"), (await NamesAsync(kept, null, false), await NamesAsync(kept, null, true), await NamesAsync(kept, PackageName.Parse("b"), false)));
        Assert.Equal(("a c", "b d e", "e"), (await NamesAsync(none, null, false), await NamesAsync(none, null, true), await NamesAsync(none, PackageName.Parse("d"), true)));
        var counts = await _store.CountAsync(Token);
        Assert.Equal((3L, 2L), (await kept.CountAsync(counts, isHidden: false, Token), await kept.CountAsync(counts, isHidden: true, Token)));
        Assert.Equal((2L, 3L), (await none.CountAsync(counts, isHidden: false, Token), await none.CountAsync(counts, isHidden: true, Token)));
        Assert.All(await kept.ListAsync(null, isHidden: false, Token).ToListAsync(Token), row => Assert.Null(row.Facts.Removal));
        Assert.Null(await kept.FindAsync(PackageName.Parse("b"), Token));
        Assert.Equal(404, (await none.FindAsync(PackageName.Parse("b"), Token))!.Status);
        Assert.Equal(451, (await kept.FindAsync(PackageName.Parse("d"), Token))!.Status);
        Assert.Null(await kept.FindAsync(PackageName.Parse("never-held"), Token));
    }

    [Fact]
    public async Task The_past_is_hidden_of_blocked_packages_only()
    {
        var visible = Visible();
        await WriteAllAsync();
        Assert.Equal(451, (await visible.FindPastAsync(PackageName.Parse("d"), Token))!.Status);
        foreach (var name in (string[])["a", "b", "e", "never-held"])
        {
            Assert.Null(await visible.FindPastAsync(PackageName.Parse(name), Token));
        }

        await WriteAsync(RemovalKind.SecurityHolder);
        Assert.Null(await visible.FindPastAsync(Name, Token));
    }

    [Claim("A package that leaves the living while they are listed is listed once",
        Red = "`MergeAsync` does not look at the last name")]
    [Fact]
    public async Task A_package_that_is_removed_while_all_are_listed_comes_once()
    {
        await WriteAsync(null, PackageName.Parse("a"));
        await WriteAsync(null, PackageName.Parse("b"));
        await WriteAsync(null, PackageName.Parse("c"));
        var row = (await _store.Packages.FindAsync(PackageName.Parse("b"), Token))!;
        var removed = row with { Facts = row.Facts with { Removal = RemovalKind.Gone } };
        var store = InterceptedStore.Over(_store, call => call.Method == nameof(IPackageTable.ListAsync) && call.Arguments[1] is true ? new[] { removed }.ToAsyncEnumerable() : call.Make());
        var options = new MirrorOptions();
        options.Removed.Gone = RemovedMode.Keep;
        var visible = new PackageVisibility(store.Packages, _news, options);
        Assert.Equal("a b c", await NamesAsync(visible, null, false));
        Assert.Equal("a b c", string.Join(' ', await visible.ListMarksAsync("", isHidden: false, Token).Select(mark => mark.Name).ToListAsync(Token)));
    }

    [Fact]
    public async Task A_list_of_everything_has_the_revisions_of_kept_packages()
    {
        await WriteAsync(RemovalKind.Gone);
        var row = (await _store.Packages.FindAsync(Name, Token))!;
        row = row with { Facts = row.Facts with { Rev = "4-d", Ancestors = "3-c 2-b", Upstream = "feed" } };
        var store = InterceptedStore.Over(_store, call => call.Method == nameof(IPackageTable.ListAsync) && call.Arguments[1] is true ? new[] { row }.ToAsyncEnumerable() : call.Make());
        var options = new MirrorOptions();
        options.Removed.Gone = RemovedMode.Keep;
        Assert.Equal([new PackageMark(Name, "3-c", "feed")], await new PackageVisibility(store.Packages, _news, options).ListMarksAsync("", isHidden: false, Token).ToListAsync(Token));
    }

    [Claim("Where it is not known whether a package was removed, nothing of it is shown",
        Red = "`Decide` does not look at the damage")]
    [Theory]
    [InlineData("removal", true)]
    [InlineData("is_removed", true)]
    [InlineData("stored_at", false)]
    public async Task A_package_whose_removal_cannot_be_read_is_not_decided(string column, bool isUnknown)
    {
        await WriteAsync(null);
        var row = (await _store.Packages.FindAsync(Name, Token))! with { Damage = new StoreDamage("packages", Name.Value, column, "Eaten") };
        var store = InterceptedStore.Over(_store, call => call.Method == nameof(IPackageTable.FindAsync) ? new ValueTask<PackageRow?>(row) : call.Make());
        var visible = new PackageVisibility(store.Packages, _news, new MirrorOptions());
        foreach (var find in new Func<ValueTask<Hidden?>>[] { () => visible.FindAsync(Name, Token), () => visible.FindTarballAsync(Name, Old, Token), () => visible.FindPastAsync(Name, Token) })
        {
            if (isUnknown)
            {
                Assert.Equal(MirrorFault.StoreDamaged, (await Assert.ThrowsAsync<MirrorException>(async () => await find())).Fault);
            }
            else
            {
                Assert.Null(await find());
            }
        }

        Assert.Equal(!isUnknown, visible.IsTarballKnownToBeShown(Name, Old));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(RemovalKind.SecurityHolder)]
    [InlineData(RemovalKind.Gone)]
    public async Task A_package_that_lives_or_is_hidden_keeps_its_revision(RemovalKind? removal)
    {
        await WriteAsync(removal);
        var row = (await _store.Packages.FindAsync(Name, Token))!;
        row = row with { Facts = row.Facts with { Rev = "4-d", Ancestors = "3-c" } };
        Assert.Same(row, new VisibilityRules(new RemovedOptions()).AsShown(row));
    }

    private static async Task<string> NamesAsync(PackageVisibility visible, PackageName? after, bool isHidden) =>
        string.Join(' ', await visible.ListAsync(after, isHidden, Token).Select(row => row.Name).ToListAsync(Token));

    /// <summary>Two that live, and one each that was unpublished, blocked and is gone.</summary>
    private async Task WriteAllAsync()
    {
        foreach (var (name, removal) in new (string, RemovalKind?)[] { ("a", null), ("b", RemovalKind.Unpublished), ("c", null), ("d", RemovalKind.Blocked), ("e", RemovalKind.Gone) })
        {
            await WriteAsync(removal, PackageName.Parse(name));
        }
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
            nameof(IPackageTable.FindAsync));
        return new PackageVisibility(store.Packages, _news, options ?? new MirrorOptions());
    }

    /// <summary>Writes the package as it is after a removal of this kind: only its holding version is listed.</summary>
    private async Task WriteAsync(RemovalKind? removal, PackageName? package = null)
    {
        var name = package ?? Name;
        var document = System.Text.Encoding.UTF8.GetBytes("""{"name":"N","versions":{"0.0.1-security":{"name":"N","version":"0.0.1-security"}}}""".Replace("N", name.Value, StringComparison.Ordinal));
        var commit = new PackageCommit
        {
            Name = name,
            ExpectedGeneration = (await _store.Packages.FindAsync(name, Token))?.Generation ?? 0,
            Facts = new PackageFacts { Removal = removal, RemovalReason = removal is null ? null : "because", FirstSeenAt = _clock.GetUtcNow(), StoredAt = _clock.GetUtcNow() },
            Document = DocumentCodecs.Encode(document),
            Index = PackumentReader.Read(document, name).Index.ToBytes(),
            Events = [],
        };
        Assert.True((await _store.Packages.CommitAsync(commit, Token)).IsCommitted);
    }
}
