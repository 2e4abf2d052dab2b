using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class PackumentIndexStoredTests
{
    [Fact]
    public void Every_fixture_comes_back_as_it_was()
    {
        foreach (var (name, document) in Fixture.All())
        {
            var index = PackumentReader.Read(document, name).Index;
            var again = PackumentIndex.FromBytes(index.ToBytes());
            Assert.Equal(index.Versions, again.Versions);
            Assert.Equal(index.DistTags, again.DistTags);
            Assert.Equal(
                (index.Name, index.Rev, index.ModifiedAt, index.CreatedAt, index.VersionsValue, index.Time, index.Maintainers),
                (again.Name, again.Rev, again.ModifiedAt, again.CreatedAt, again.VersionsValue, again.Time, again.Maintainers));
            Assert.Equal(
                (index.HashSeed, index.RestHash, index.TimeHash, index.MaintainersHash, index.IsUnpublished, index.IsSecurityHolder, index.HasLeftOut, index.DocumentSizeBytes),
                (again.HashSeed, again.RestHash, again.TimeHash, again.MaintainersHash, again.IsUnpublished, again.IsSecurityHolder, again.HasLeftOut, again.DocumentSizeBytes));
        }
    }

    [Fact]
    public void Tells_the_seed_without_reading_the_rest()
    {
        var index = PackumentReader.Read(Fixture.Odd("@odd/everything"), PackageName.Parse("@odd/everything")).Index;
        Assert.NotEqual(0UL, index.HashSeed);
        Assert.Equal(index.HashSeed, PackumentIndex.HashSeedOf(index.ToBytes()));
        Assert.Equal(0UL, PackumentIndex.HashSeedOf(EarlierIndex.Of(index)));
        Assert.Equal(0UL, PackumentIndex.HashSeedOf([2]));
        Assert.Equal(0UL, PackumentIndex.HashSeedOf([]));
    }

    [Fact]
    public void A_version_costs_about_twenty_bytes()
    {
        var real = Fixture.All().Where(package => package.Document.Length > 20_000).Select(package => PackumentReader.Read(package.Document, package.Name).Index).ToList();
        Assert.InRange(real.Sum(index => (double)index.ToBytes().Length) / real.Sum(index => index.Versions.Count), 8, 28);
    }

    [Claim("A damaged index is noticed",
        With = [nameof(An_index_of_a_newer_program_says_so)],
        Red = "`PackumentIndex.FromBytes` does not compare the checksum")]
    [Fact]
    public void Every_damaged_byte_is_noticed()
    {
        var stored = PackumentReader.Read(Fixture.Odd("@odd/everything"), PackageName.Parse("@odd/everything")).Index.ToBytes();
        for (var i = 0; i < stored.Length; i++)
        {
            var damaged = stored.ToArray();
            damaged[i] ^= 0x40;
            Assert.Equal(MirrorFault.StoreDamaged, Assert.Throws<MirrorException>(() => PackumentIndex.FromBytes(damaged)).Fault);
            Assert.Equal(MirrorFault.StoreDamaged, Assert.Throws<MirrorException>(() => PackumentIndex.FromBytes(stored.AsSpan(0, i))).Fault);
        }
    }

    [Fact]
    public void Damage_under_a_right_checksum_is_a_MirrorException_too()
    {
        var stored = PackumentReader.Read(Fixture.Odd("@odd/everything"), PackageName.Parse("@odd/everything")).Index.ToBytes();
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = stored.AsSpan(0, stored.Length - 4).ToArray();
            for (var j = random.Next(3); j >= 0; j--)
            {
                damaged[random.Next(1, damaged.Length)] = (byte)random.Next(256);
            }

            byte[] signed = [.. damaged, .. System.Security.Cryptography.SHA256.HashData(damaged).AsSpan(0, 4)];
            try
            {
                foreach (var version in PackumentIndex.FromBytes(signed).Versions)
                {
                    Assert.InRange(version.Manifest.Offset + (long)version.Manifest.Length, 1, int.MaxValue);
                }
            }
            catch (MirrorException e)
            {
                Assert.Equal(MirrorFault.StoreDamaged, e.Fault);
            }
        }
    }

    [Fact]
    public void An_index_of_a_newer_program_says_so()
    {
        byte[] newer = [200, 1, 2, 3];
        byte[] signed = [.. newer, .. System.Security.Cryptography.SHA256.HashData(newer).AsSpan(0, 4)];
        Assert.Contains("newer", Assert.Throws<MirrorException>(() => PackumentIndex.FromBytes(signed)).Message, StringComparison.Ordinal);
    }
}
