namespace NpmMirror.ScaleBenchmarks;

/// <summary>Orders names as CouchDB does, near enough: signs, then digits, then letters whatever their case; small letters before capitals.</summary>
internal static class Collation
{
    internal static int Compare(string left, string right)
    {
        var length = Math.Min(left.Length, right.Length);
        for (var i = 0; i < length; i++)
        {
            var order = WeightOf(left[i]) - WeightOf(right[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return left.Length != right.Length ? left.Length - right.Length : -string.CompareOrdinal(left, right);
    }

    private static int WeightOf(char c) => char.IsAsciiLetter(c) ? 1_000 + char.ToLowerInvariant(c) : char.IsAsciiDigit(c) ? 500 + c : c < 128 ? c : 2_000 + c;
}
