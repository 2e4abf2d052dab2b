using NpmMirror.Renditions;

namespace NpmMirror.Tests.Renditions;

public sealed class ContentCodingTests
{
    [Claim("Packuments are coded as zstd, br, gzip or not at all, by the client's weights; each coding has an ETag of its own",
        With =
        [
            $"{nameof(AspNetCore.PackumentServingTests)}.{nameof(AspNetCore.PackumentServingTests.A_coded_body_is_the_plain_one_in_one_piece)}",
            $"{nameof(AspNetCore.PackumentServingTests)}.{nameof(AspNetCore.PackumentServingTests.Each_form_base_and_coding_has_an_etag_of_its_own)}",
        ],
        Red = "the weights of zstd and br are not compared: the first was red; the last window is not written, or gzip has several members: the second; the coding is not in the ETag: the last")]
    [Theory]
    [InlineData("", ContentCoding.Identity)]
    [InlineData("identity", ContentCoding.Identity)]
    [InlineData("gzip,deflate", ContentCoding.Gzip)]
    [InlineData("gzip, deflate, br", ContentCoding.Brotli)]
    [InlineData("zstd, gzip, deflate", ContentCoding.Zstandard)]
    [InlineData("gzip, deflate, br, zstd", ContentCoding.Zstandard)]
    [InlineData("zstd;q=0.5, br", ContentCoding.Brotli)]
    [InlineData("zstd;q=0, gzip", ContentCoding.Gzip)]
    [InlineData("GZIP", ContentCoding.Gzip)]
    [InlineData("x-gzip", ContentCoding.Gzip)]
    [InlineData("br;q=0, gzip", ContentCoding.Gzip)]
    [InlineData("br;q=0.5, gzip;q=0.9", ContentCoding.Gzip)]
    [InlineData("gzip;q=0", ContentCoding.Identity)]
    [InlineData("gzip;q=0.000", ContentCoding.Identity)]
    [InlineData("gzip ; q=0.5", ContentCoding.Gzip)]
    [InlineData("gzip;q=0.5, identity", ContentCoding.Identity)]
    [InlineData("*", ContentCoding.Gzip)]
    [InlineData("*;q=0", ContentCoding.Identity)]
    [InlineData("*;q=0.1, identity;q=0.5", ContentCoding.Identity)]
    [InlineData("*;q=0.5, identity;q=0.1", ContentCoding.Gzip)]
    [InlineData("gzip, *;q=0", ContentCoding.Gzip)]
    [InlineData("br;Q=0, gzip;Q=1.0", ContentCoding.Gzip)]
    [InlineData("gzip;q=0;q=nonsense", ContentCoding.Identity)]
    [InlineData("gzip;q=NaN", ContentCoding.Gzip)]
    [InlineData("gzip;q=0.5000, br;q=0.4", ContentCoding.Gzip)]
    [InlineData("gzip;a=\"x,y;q=0\", br;q=0.4", ContentCoding.Gzip)]
    [InlineData("gzip;q=0, gzip;q=1", ContentCoding.Gzip)]
    [InlineData("gzip;q=0, *", ContentCoding.Identity)]
    [InlineData("gzipp, brr", ContentCoding.Identity)]
    [InlineData("gzip;q=nonsense", ContentCoding.Gzip)]
    [InlineData(",,;q=,", ContentCoding.Identity)]
    public void Takes_the_best_coding_that_the_client_allows(string header, Enum expected) =>
        Assert.Equal((ContentCoding)expected, ContentCodings.Negotiate(header));
}
