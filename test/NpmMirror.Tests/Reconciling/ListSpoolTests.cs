using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Reconciling;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Reconciling;

public sealed class ListSpoolTests : IDisposable
{
    private const int Small = 2048;

    private readonly TempFolder _folder = new();

    private string Spools => _folder.File("tmp");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3000)]
    public void Returns_each_name_once_in_the_order_of_bytes(int count)
    {
        var random = new Random(count);
        var names = Enumerable.Range(0, count).Select(i => $"{(i % 3 == 0 ? "@s/" : "")}{(char)('A' + random.Next(58) % 26)}{"-_.~\uff5eä\U0001f600".EnumerateRunes().ElementAt(random.Next(7))}{i}{(i % 7 == 0 ? "\U0001f600" : "")}").ToArray();
        using var files = Files();
        using var spool = new ListSpool(Spools, files, Small);
        foreach (var name in names.Concat(names.Take(100)).OrderBy(_ => random.Next()))
        {
            spool.Add(PackageName.Parse(name), name.Length % 2 == 0 ? null : $"1-{name}", TimeOf(name));
        }

        var wanted = names.OrderBy(Encoding.UTF8.GetBytes, Comparer<byte[]>.Create((left, right) => left.AsSpan().SequenceCompareTo(right)));
        Assert.Equal(wanted.Select(name => new ListMark(PackageName.Parse(name), name.Length % 2 == 0 ? null : $"1-{name}", TimeOf(name))), spool.ReadSorted());

        static DateTimeOffset? TimeOf(string name) => name.Length % 3 == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(1_600_000_000_000 + name.Length);
    }

    [Claim("The spool of a list leaves nothing on the disk, a short list touches none, a full disk is one sentence",
        With = [nameof(A_short_list_touches_no_disk), nameof(A_full_disk_is_one_sentence), nameof(A_rev_that_is_longer_than_any_is_as_good_as_none)],
        Red = "the pieces are not deleted when they are closed: the first was red; a short list is spilled too: the second; the disk's trouble is not explained: the third; the length of a rev is not looked at: the last")]
    [Fact]
    public void Leaves_nothing_on_the_disk()
    {
        using (var files = Files())
        {
            using var spool = new ListSpool(Spools, files, Small);
            for (var i = 0; i < 500; i++)
            {
                spool.Add(PackageName.Parse($"p{i}"), null);
            }

            Assert.NotEmpty(Directory.GetFiles(Spools, "*.part"));
        }

        Assert.Empty(Directory.GetFiles(Spools));
    }

    [Fact]
    public void A_short_list_touches_no_disk()
    {
        using var files = Files();
        using var spool = new ListSpool(Spools, files);
        spool.Add(PackageName.Parse("express"), "1-a");
        Assert.Equal([new ListMark(PackageName.Parse("express"), "1-a", null)], spool.ReadSorted());
        Assert.False(Directory.Exists(Spools));
    }

    [Fact]
    public void A_rev_that_is_longer_than_any_is_as_good_as_none()
    {
        using var files = Files();
        using var spool = new ListSpool(Spools, files, Small);
        spool.Add(PackageName.Parse("express"), new string('9', 70_000));
        Assert.Equal([new ListMark(PackageName.Parse("express"), null, null)], spool.ReadSorted());
    }

    [Fact]
    public void A_full_disk_is_one_sentence()
    {
        using var disk = SmallDisk.Mount(1);
        using var files = new UnfinishedFiles(disk.File("tmp"), new DurableFolders(disk.Path), NullLogger.Instance);
        using var spool = new ListSpool(disk.File("tmp"), files, 64 * 1024);
        var failure = Assert.Throws<MirrorException>(() =>
        {
            for (var i = 0; i < 1_000_000; i++)
            {
                spool.Add(PackageName.Parse($"package-{i}"), "1-0123456789abcdef");
            }
        });
        Assert.Equal(MirrorFault.StoreReadOnly, failure.Fault);
        Assert.Contains("is full", failure.Message, StringComparison.Ordinal);
    }

    private UnfinishedFiles Files() => new(Spools, new DurableFolders(_folder.Path), NullLogger.Instance);
}
