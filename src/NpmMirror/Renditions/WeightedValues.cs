namespace NpmMirror.Renditions;

/// <summary>
/// Walks through the values of <c>Accept</c> or <c>Accept-Encoding</c> with their weights (RFC 9110 §12.4.2): <c>gzip;q=0.5, br</c>. A weight that is
/// none counts as not given; commas and semicolons within quotes are text.
/// </summary>
internal ref struct WeightedValues(ReadOnlySpan<char> header)
{
    /// <summary>The weight of the most wanted form, and of a value without one.</summary>
    internal const int WeightMax = 1000;

    private ReadOnlySpan<char> _left = header;

    /// <summary>The value without its parameters.</summary>
    internal ReadOnlySpan<char> Value { get; private set; }

    /// <summary>Its weight in thousandths; 0 refuses it.</summary>
    internal int Weight { get; private set; }

    /// <summary>Goes to the next value that is not empty; false after the last.</summary>
    internal bool MoveNext()
    {
        while (!_left.IsEmpty)
        {
            var element = Take(ref _left, ',');
            Value = Take(ref element, ';').Trim();
            Weight = WeightMax;
            while (!element.IsEmpty)
            {
                if (Take(ref element, ';').Trim() is ['q' or 'Q', '=', .. var weight] && TryRead(weight, out var read))
                {
                    Weight = read;
                }
            }

            if (!Value.IsEmpty)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The weight of a value where it is listed, else null. Upper and lower case are the same.</summary>
    internal static int? Find(ReadOnlySpan<char> header, ReadOnlySpan<char> value)
    {
        int? found = null;
        var values = new WeightedValues(header);
        while (values.MoveNext())
        {
            // Listed twice, the higher weight counts.
            if (values.Value.Equals(value, StringComparison.OrdinalIgnoreCase) && !(found > values.Weight))
            {
                found = values.Weight;
            }
        }

        return found;
    }

    private static ReadOnlySpan<char> Take(scoped ref ReadOnlySpan<char> left, char separator)
    {
        var isQuoted = false;
        for (var i = 0; i < left.Length; i++)
        {
            if (left[i] == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (isQuoted && left[i] == '\\')
            {
                i++;
            }
            else if (!isQuoted && left[i] == separator)
            {
                var taken = left[..i];
                left = left[(i + 1)..];
                return taken;
            }
        }

        var all = left;
        left = [];
        return all;
    }

    /// <summary>0 or 1 with up to three digits after the point.</summary>
    private static bool TryRead(ReadOnlySpan<char> text, out int weight)
    {
        weight = 0;
        if (text is not (['0' or '1'] or ['0' or '1', '.', ..]) || text.Length > 5)
        {
            return false;
        }

        weight = (text[0] - '0') * WeightMax;
        var place = WeightMax / 10;
        foreach (var digit in text.Length > 2 ? text[2..] : [])
        {
            if (!char.IsAsciiDigit(digit))
            {
                return false;
            }

            weight += (digit - '0') * place;
            place /= 10;
        }

        return weight <= WeightMax;
    }
}
