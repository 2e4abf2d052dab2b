namespace NpmMirror.Cli.Settings;

/// <summary>Finds the word that a mistyped one was meant to be.</summary>
internal static class Nearest
{
    /// <summary>The word at the least distance, or null when none is near: more than two letters and more than a third of the word are wrong.</summary>
    public static string? Find(string typed, IEnumerable<string> words) => Find(typed, words, word => word);

    /// <summary>As <see cref="Find(string, IEnumerable{string})"/>, where words are compared by their key.</summary>
    public static string? Find(string typed, IEnumerable<string> words, Func<string, string> keyOf)
    {
        var nearest = words.Select(word => (Word: word, Distance: Distance(keyOf(typed), keyOf(word)))).MinBy(candidate => candidate.Distance);
        return nearest.Distance <= Math.Max(2, typed.Length / 3) ? nearest.Word : null;
    }

    /// <summary>How many letters must be changed, added, dropped or swapped with their neighbour.</summary>
    private static int Distance(string left, string right)
    {
        var distances = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++)
        {
            for (var j = 0; j <= right.Length; j++)
            {
                distances[i, j] = i == 0 || j == 0
                    ? i + j
                    : Math.Min(Math.Min(distances[i - 1, j], distances[i, j - 1]) + 1, distances[i - 1, j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                {
                    distances[i, j] = Math.Min(distances[i, j], distances[i - 2, j - 2] + 1);
                }
            }
        }

        return distances[left.Length, right.Length];
    }
}
