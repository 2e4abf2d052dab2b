using System.Text;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    private static readonly DateOnly Today = new(2026, 11, 1);

    [Fact]
    public async Task Gives_back_the_row_of_a_tarball()
    {
        var row = Tarball("@types/node", "node-1.0.0.tgz", sizeBytes: 5_000_000_000) with
        {
            UpstreamUrl = "https://registry.example.org/@types/node/-/node-1.0.0.tgz",
            VerifiedAt = Clock.GetUtcNow(),
            LastServedAt = Clock.GetUtcNow().AddHours(1),
            Problem = "none to speak of",
        };
        Assert.Null(await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation));
        Assert.True(await Store.Tarballs.PutTarballAsync(row, Cancellation));
        Assert.Equal(row, await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation));

        var missing = new TarballRow { Package = Name("a"), File = "a.tgz", Version = "1.0.2-1.2.3", State = TarballState.Missing };
        await Store.Tarballs.PutTarballAsync(missing, Cancellation);
        Assert.Equal(missing, await Store.Tarballs.FindTarballAsync(Name("a"), "a.tgz", Cancellation));
        Assert.Null(await Store.Tarballs.FindTarballAsync(Name("A"), "a.tgz", Cancellation));
        Assert.Null(await Store.Tarballs.FindTarballAsync(Name("a"), "A.tgz", Cancellation));
    }

    [Theory]
    [InlineData("../../../etc/passwd")]
    [InlineData("a/b.tgz")]
    [InlineData("\\..\\x.tgz")]
    [InlineData("x.tgz\0.txt")]
    [InlineData("'; DROP TABLE packages; --.tgz")]
    public async Task Keeps_a_file_name_as_a_name(string file)
    {
        await Store.Tarballs.PutTarballAsync(Tarball("a", file), Cancellation);
        Assert.Equal(file, (await Store.Tarballs.FindTarballAsync(Name("a"), file, Cancellation))!.File);
        Assert.Equal(file, Assert.Single(await AllAsync(Store.Tarballs.ListTarballsAsync(Name("a"), Cancellation))).File);
    }

    [Fact]
    public async Task Never_replaces_a_held_tarball_by_other_bytes()
    {
        var held = Tarball("a", "a-1.0.0.tgz");
        await Store.Tarballs.PutTarballAsync(held, Cancellation);
        Assert.False(await Store.Tarballs.PutTarballAsync(held with { Sha512 = Sha512("other") }, Cancellation));
        Assert.False(await Store.Tarballs.PutTarballAsync(held with { Sha512 = default, State = TarballState.Missing, SizeBytes = 0 }, Cancellation));
        Assert.Equal(held, await Store.Tarballs.FindTarballAsync(held.Package, held.File, Cancellation));

        var verified = held with { VerifiedAt = Clock.GetUtcNow().AddDays(1) };
        Assert.True(await Store.Tarballs.PutTarballAsync(verified, Cancellation));
        Assert.Equal(verified, await Store.Tarballs.FindTarballAsync(held.Package, held.File, Cancellation));
    }

    [Theory]
    [InlineData(null, 2)]
    [InlineData(1, 2)]
    [InlineData(3, 3)]
    public async Task Keeps_the_later_moment_at_which_a_tarball_was_served(int? laterHours, int keptHours)
    {
        var row = Tarball("a", "a-1.0.0.tgz") with { LastServedAt = Clock.GetUtcNow().AddHours(2) };
        await Store.Tarballs.PutTarballAsync(row, Cancellation);
        Clock.Advance(TimeSpan.FromHours(4));
        await Store.Tarballs.PutTarballAsync(row with { LastServedAt = laterHours is { } hours ? row.LastServedAt!.Value.AddHours(hours - 2) : null }, Cancellation);
        Assert.Equal(row.LastServedAt!.Value.AddHours(keptHours - 2), (await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation))!.LastServedAt);
    }

    [Fact]
    public async Task Forgets_only_a_held_tarball_that_is_just_as_known()
    {
        var missing = Tarball("a", "a-1.0.0.tgz") with { State = TarballState.Missing, Sha512 = default, SizeBytes = 0 };
        await Store.Tarballs.PutTarballAsync(missing, Cancellation);
        Assert.False(await Store.Tarballs.ForgetTarballAsync(missing, Cancellation));
        var held = Tarball("b", "b-1.0.0.tgz");
        await Store.Tarballs.PutTarballAsync(held, Cancellation);
        Assert.False(await Store.Tarballs.ForgetTarballAsync(held with { SizeBytes = held.SizeBytes + 1 }, Cancellation));
        Assert.False(await Store.Tarballs.ForgetTarballAsync(held with { LastServedAt = Clock.GetUtcNow() }, Cancellation));
        Assert.Equal(1, (await Store.CountAsync(Cancellation)).Tarballs);
        Assert.True(await Store.Tarballs.ForgetTarballAsync(held, Cancellation));
        Assert.False(await Store.Tarballs.ForgetTarballAsync(held, Cancellation));
        Assert.Equal((0L, 0L), ((await Store.CountAsync(Cancellation)).Tarballs, (await Store.CountAsync(Cancellation)).TarballBytes));
    }

    [Fact]
    public async Task Replaces_a_missing_or_corrupt_tarball()
    {
        var corrupt = Tarball("a", "a-1.0.0.tgz") with { State = TarballState.Corrupt, Sha512 = default, SizeBytes = 0, Problem = "short" };
        await Store.Tarballs.PutTarballAsync(corrupt, Cancellation);
        Assert.True(await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.0.tgz"), Cancellation));
        Assert.Equal(TarballState.Held, (await Store.Tarballs.FindTarballAsync(Name("a"), "a-1.0.0.tgz", Cancellation))!.State);
    }

    [Fact]
    public async Task Lets_one_of_two_different_tarballs_in()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i =>
            Task.Run(() => Store.Tarballs.PutTarballAsync(Tarball("a", "a.tgz") with { Sha512 = Sha512($"{i}") }, Cancellation).AsTask())));
        Assert.Single(results, isPut => isPut);
    }

    [Fact]
    public async Task Stamps_served_tarballs()
    {
        var row = Tarball("a", "a-1.0.0.tgz");
        await Store.Tarballs.PutTarballAsync(row, Cancellation);
        var later = Clock.GetUtcNow().AddHours(1);
        await Store.Tarballs.StampServedAsync([new TarballServed(row.Package, row.File, later), new TarballServed(row.Package, row.File, later.AddMinutes(-5)), new TarballServed(Name("b"), "b.tgz", later)], Cancellation);
        Assert.Equal(row with { LastServedAt = later }, await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation));
        Assert.Null(await Store.Tarballs.FindTarballAsync(Name("b"), "b.tgz", Cancellation));

        // Verified again: the stamp stays.
        await Store.Tarballs.PutTarballAsync(row, Cancellation);
        Assert.Equal(later, (await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation))!.LastServedAt);
    }

    [Fact]
    public async Task Stamps_tarballs_that_were_verified_with_these_bytes()
    {
        var row = Tarball("a", "a-1.0.0.tgz");
        await Store.Tarballs.PutTarballAsync(row, Cancellation);
        var now = Clock.GetUtcNow();
        await Store.Tarballs.StampVerifiedAsync([new TarballVerified(row.Package, row.File, row.Sha512, now), new TarballVerified(Name("b"), "b.tgz", row.Sha512, now)], Cancellation);
        await Store.Tarballs.StampVerifiedAsync([new TarballVerified(row.Package, row.File, Sha512("other"), now.AddDays(1)), new TarballVerified(row.Package, row.File, row.Sha512, now.AddDays(-1))], Cancellation);
        Assert.Equal(row with { VerifiedAt = now }, await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation));
        Assert.Null(await Store.Tarballs.FindTarballAsync(Name("b"), "b.tgz", Cancellation));

        await Store.Tarballs.StampVerifiedAsync([new TarballVerified(row.Package, row.File, Sha512("other"), null)], Cancellation);
        Assert.NotNull((await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation))!.VerifiedAt);
        await Store.Tarballs.StampVerifiedAsync([new TarballVerified(row.Package, row.File, row.Sha512, null)], Cancellation);
        Assert.Null((await Store.Tarballs.FindTarballAsync(row.Package, row.File, Cancellation))!.VerifiedAt);
    }

    [Fact]
    public async Task Forgets_a_tarball_only_as_it_was_read()
    {
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-1.0.0.tgz"), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("a", "a-2.0.0.tgz", sizeBytes: 7), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("b", "a-1.0.0.tgz", sizeBytes: 9), Cancellation);
        var read = (await Store.Tarballs.FindTarballAsync(Name("a"), "a-1.0.0.tgz", Cancellation))!;
        await Store.Tarballs.StampServedAsync([new TarballServed(read.Package, read.File, Clock.GetUtcNow())], Cancellation);
        Assert.False(await Store.Tarballs.ForgetTarballAsync(read, Cancellation));

        var served = (await Store.Tarballs.FindTarballAsync(read.Package, read.File, Cancellation))!;
        Assert.True(await Store.Tarballs.ForgetTarballAsync(served, Cancellation));
        Assert.False(await Store.Tarballs.ForgetTarballAsync(served, Cancellation));
        Assert.Null(await Store.Tarballs.FindTarballAsync(read.Package, read.File, Cancellation));
        var counts = await Store.CountAsync(Cancellation);
        Assert.Equal((2, 16), (counts.Tarballs, counts.TarballBytes));
        Assert.Equal([("a", "a-2.0.0.tgz"), ("b", "a-1.0.0.tgz")], (await AllAsync(Store.Tarballs.ListTarballsAsync(null, Cancellation))).Select(row => (row.Package.Value, row.File)));
        Assert.True(await Store.Tarballs.PutTarballAsync(read with { Sha512 = Sha512("other") }, Cancellation));
    }

    [Fact]
    public async Task Knows_which_bytes_are_referenced()
    {
        var row = Tarball("a", "a.tgz");
        var other = Tarball("b", "b.tgz") with { Sha512 = row.Sha512 };
        Assert.False(await Store.Tarballs.IsReferencedAsync(row.Sha512, Cancellation));
        await Store.Tarballs.PutTarballAsync(row, Cancellation);
        await Store.Tarballs.PutTarballAsync(other, Cancellation);
        Assert.True(await Store.Tarballs.IsReferencedAsync(row.Sha512, Cancellation));
        Assert.False(await Store.Tarballs.IsReferencedAsync(Sha512("never"), Cancellation));

        await Store.Tarballs.ForgetTarballAsync(row, Cancellation);
        Assert.True(await Store.Tarballs.IsReferencedAsync(row.Sha512, Cancellation));
        await Store.Tarballs.ForgetTarballAsync(other, Cancellation);
        Assert.False(await Store.Tarballs.IsReferencedAsync(row.Sha512, Cancellation));
    }

    [Fact]
    public async Task Lists_tarballs_by_package_and_file()
    {
        (string, string)[] ordered = [("A", "z.tgz"), ("a", "B.tgz"), ("a", "a.tgz"), ("a", "\uff5e.tgz"), ("a", "\U0001f600.tgz"), ("b", "a.tgz")];
        foreach (var (package, file) in ordered.Reverse())
        {
            await Store.Tarballs.PutTarballAsync(Tarball(package, file), Cancellation);
        }

        Assert.Equal(ordered, (await AllAsync(Store.Tarballs.ListTarballsAsync(null, Cancellation))).Select(row => (row.Package.Value, row.File)));
        Assert.Equal(ordered[1..5], (await AllAsync(Store.Tarballs.ListTarballsAsync(Name("a"), Cancellation))).Select(row => (row.Package.Value, row.File)));
    }

    [Fact]
    public async Task Lists_more_tarballs_than_a_page()
    {
        await Task.WhenAll(Enumerable.Range(0, 700).Select(i => Store.Tarballs.PutTarballAsync(Tarball($"p{i % 3}", $"{i:d4}.tgz"), Cancellation).AsTask()));
        Assert.Equal(700, (await AllAsync(Store.Tarballs.ListTarballsAsync(null, Cancellation))).Distinct().Count());
        Assert.Equal(234, (await AllAsync(Store.Tarballs.ListTarballsAsync(Name("p0"), Cancellation))).Count);
    }

    [Fact]
    public async Task Adds_up_accesses()
    {
        await Store.Tarballs.RecordAccessAsync([Access("a.tgz", "one", 0, 2), Access("a.tgz", "one", 0, 1), Access("a.tgz", "one", 1, 1), Access("b.tgz", "two", 0, 1)], Cancellation);
        await Store.Tarballs.RecordAccessAsync([Access("a.tgz", "one", 0, 4), Access("a.tgz", "One", 0, 1)], Cancellation);

        TarballAccess[] expected = [Access("a.tgz", "One", 0, 1), Access("a.tgz", "one", 0, 7), Access("a.tgz", "one", 1, 1), Access("b.tgz", "two", 0, 1)];
        Assert.Equal(expected, await AllAsync(Store.Tarballs.ListAccessAsync(Name("a"), null, Cancellation)));
        Assert.Equal(expected[3..], await AllAsync(Store.Tarballs.ListAccessAsync(Name("a"), "b.tgz", Cancellation)));
        Assert.Empty(await AllAsync(Store.Tarballs.ListAccessAsync(Name("b"), null, Cancellation)));
    }

    [Fact]
    public async Task Lists_more_accesses_than_a_page()
    {
        await Store.Tarballs.RecordAccessAsync([.. Enumerable.Range(0, 700).Select(i => Access("a.tgz", $"client {i:d4}", 0, 1)), Access("b.tgz", "", 0, 1)], Cancellation);
        Assert.Equal(701, (await AllAsync(Store.Tarballs.ListAccessAsync(Name("a"), null, Cancellation))).Distinct().Count());
        Assert.Equal(700, (await AllAsync(Store.Tarballs.ListAccessAsync(Name("a"), "a.tgz", Cancellation))).Count);
    }

    [Fact]
    public async Task Forgets_accesses_of_days_before()
    {
        await Store.Tarballs.RecordAccessAsync([Access("a.tgz", "one", -2, 1), Access("a.tgz", "one", -1, 1), Access("a.tgz", "one", 0, 1)], Cancellation);
        Assert.Equal(2, await Store.Tarballs.ForgetAccessAsync(Today, Cancellation));
        Assert.Equal([Access("a.tgz", "one", 0, 1)], await AllAsync(Store.Tarballs.ListAccessAsync(Name("a"), null, Cancellation)));
        Assert.Equal(0, await Store.Tarballs.ForgetAccessAsync(Today, Cancellation));
    }

    /// <summary>A held tarball.</summary>
    protected static TarballRow Tarball(string package, string file, long sizeBytes = 100) => new()
    {
        Package = Name(package),
        File = file,
        Version = "1.0.0",
        State = TarballState.Held,
        Sha512 = Sha512(file),
        SizeBytes = sizeBytes,
    };

    private static Digest Sha512(string text) => new(System.Security.Cryptography.SHA512.HashData(Encoding.UTF8.GetBytes(text)));

    private static TarballAccess Access(string file, string client, int day, long count) => new(Name("a"), file, client, Today.AddDays(day), count);
}
