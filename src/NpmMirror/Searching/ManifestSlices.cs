using NpmMirror.Packuments;

namespace NpmMirror.Searching;

/// <summary>Where those members of an object lie that an index reads; of equal names the last one counts.</summary>
internal struct ManifestSlices
{
    /// <summary>No such member has a longer name, also when each of its characters is escaped.</summary>
    internal const int NameMaxBytes = 6 * 12;

    internal Slice Description { get; private set; }

    internal Slice Keywords { get; private set; }

    internal Slice License { get; private set; }

    internal Slice Licenses { get; private set; }

    internal Slice Author { get; private set; }

    internal Slice Publisher { get; private set; }

    internal Slice Maintainers { get; private set; }

    internal Slice Homepage { get; private set; }

    internal Slice Repository { get; private set; }

    internal Slice Bugs { get; private set; }

    internal Slice Deprecated { get; private set; }

    internal Slice Dependencies { get; private set; }

    internal void Take(string name, Slice value)
    {
        switch (name)
        {
            case "description": Description = value; break;
            case "keywords": Keywords = value; break;
            case "license": License = value; break;
            case "licenses": Licenses = value; break;
            case "author": Author = value; break;
            case "_npmUser": Publisher = value; break;
            case "maintainers": Maintainers = value; break;
            case "homepage": Homepage = value; break;
            case "repository": Repository = value; break;
            case "bugs": Bugs = value; break;
            case "deprecated": Deprecated = value; break;
            case "dependencies": Dependencies = value; break;
        }
    }
}
