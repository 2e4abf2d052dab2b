namespace NpmMirror.Tests;

public sealed class HeaderValuesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    // Values that hostile, broken and careless servers write in the place of a number, a date or an address.
    private static readonly string?[] Hostile =
    [
        null, "", " ", "\t", "0", "-0", "-1", "+1", "1.5", "1,5", "1e9", "0x10", "NaN", "nan", "Infinity", "-Infinity", "∞", "1e999", "９",
        new('9', 10), new('9', 19), new('9', 20), new('9', 60), new('9', 400), "9223372036854775807", "9223372036854775808", "0.0000000000000000000000001",
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-14:00", "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT", "31 Dec 1969", "2026-11-01", "2026-13-45", "24:00", "Sun, 32 Nov 2026 12:00:30 GMT", "Sun, 01 Nov 2026 12:00:30 +9999",
        "http://", "http:///", "http://:80/", "http://a:0/", "http://a:-1/", "http://a:65536/", "http://a:99999/", "http://a:b/", "http://[::1", "http://[::1]:x/",
        "http://%41/", "http://xn--/", "http://xn--a/", "http://\u00ad/", "http://a b/", "http://a/b c", "//", "//:0", "///x", "?", "#", "..", "../../../..", ":", "::", "\\\\host\\share",
        "javascript:alert(1)", "file:///etc/passwd", "data:,x", "mailto:a@b", "http:x", "https://user:pass@h/", new('/', 20_000), "http://" + new string('a', 70_000) + "/", "\0", "a\r\nb: c", "\ud800",
    ];

    [Claim("Numbers, dates and addresses in headers are believed if they make sense, and no value makes a reader throw",
        With =
        [
            nameof(A_wait_is_believed_when_it_makes_sense),
            nameof(A_location_is_read_as_browsers_read_it),
            nameof(A_count_is_digits),
            $"{nameof(Upstream.HostileAnswerTests)}.{nameof(Upstream.HostileAnswerTests.A_location_that_is_no_address_is_malformed)}",
            $"{nameof(Upstream.HostileAnswerTests)}.{nameof(Upstream.HostileAnswerTests.A_length_that_is_claimed_takes_no_memory)}",
            $"{nameof(Upstream.HostileAnswerTests)}.{nameof(Upstream.HostileAnswerTests.A_validator_that_cannot_be_sent_back_is_forgotten)}",
        ],
        Red = "`HeaderValues.Count` takes a sign: the fourth was red; a wait of more than a day is believed: the second; what `Uri` takes for an address is one: the third and the fifth; any number of seconds is believed: the first; a validator may have control characters: the last")]
    [Fact]
    public void Nothing_that_is_written_makes_a_reader_throw()
    {
        foreach (var text in Hostile)
        {
            Assert.True(HeaderValues.Count(text) is null or >= 0, text);
            Assert.True(HeaderValues.Seconds(text) is not { } seconds || (seconds >= TimeSpan.Zero && seconds <= TimeSpan.FromDays(366)), text);
            Assert.True(HeaderValues.Wait(text, Now) is not { } wait || (wait >= TimeSpan.Zero && wait <= TimeSpan.FromDays(1)), text);
            // A margin on both sides, so that no later arithmetic leaves the calendar.
            Assert.True(HeaderValues.Date(text) is not { } date || (date.Year >= 1970 && date.AddDays(300) > date), text);
            Assert.True(HeaderValues.Port(text) is null or (> 0 and < 65536), text);
            foreach (var address in new[] { HeaderValues.Address(text), HeaderValues.Address(text, new Uri("http://127.0.0.1:8080/a/b")) }.OfType<Uri>().Where(address => address.Scheme.StartsWith("http", StringComparison.Ordinal)))
            {
                Assert.InRange(address.Port, 1, 65535);
                Assert.NotEmpty(address.IdnHost);
            }

            Assert.True(HeaderValues.Validator(text) is not { } validator || validator.All(character => character is >= ' ' and <= '~'), text);
        }
    }

    [Theory]
    [InlineData("7", 7.0)]
    [InlineData(" 7 ", 7.0)]
    [InlineData("2.5", 2.5)]
    [InlineData("90000", 86400.0)]
    [InlineData("Sun, 01 Nov 2026 12:00:30 GMT", 30.0)]
    [InlineData("Sun, 01 Nov 2020 12:00:30 GMT", 0.0)]
    [InlineData("Sun, 15 Nov 2026 12:00:30 GMT", 86400.0)]
    [InlineData("NaN", null)]
    [InlineData("-Infinity", null)]
    [InlineData("Infinity", null)]
    [InlineData("1e3", null)]
    [InlineData("99999999999", null)]
    [InlineData("Sun, 01 Nov 2076 12:00:30 GMT", null)]
    [InlineData("9999-12-31T23:59:59.9999999Z", null)]
    public void A_wait_is_believed_when_it_makes_sense(string text, double? seconds) =>
        Assert.Equal(seconds, HeaderValues.Wait(text, Now)?.TotalSeconds);

    [Theory]
    [InlineData("/a%20b", "http://127.0.0.1:8080/a%20b")]
    [InlineData(" c ", "http://127.0.0.1:8080/a/c")]
    [InlineData("/x y", "http://127.0.0.1:8080/x%20y")]
    [InlineData("//other.example.org/x", "http://other.example.org/x")]
    [InlineData("https://other.example.org:444/", "https://other.example.org:444/")]
    [InlineData("http://other.example.org:0/", null)]
    [InlineData("http://other.example.org:70000/", null)]
    [InlineData("http://other example.org/", null)]
    [InlineData("", null)]
    public void A_location_is_read_as_browsers_read_it(string text, string? address) =>
        Assert.Equal(address, HeaderValues.Address(text, new Uri("http://127.0.0.1:8080/a/b"))?.AbsoluteUri);

    [Theory]
    [InlineData("12", 12L)]
    [InlineData(" 12 ", 12L)]
    [InlineData("+12", null)]
    [InlineData("-12", null)]
    [InlineData("1 2", null)]
    [InlineData("9223372036854775808", null)]
    public void A_count_is_digits(string text, long? count) => Assert.Equal(count, HeaderValues.Count(text));
}
