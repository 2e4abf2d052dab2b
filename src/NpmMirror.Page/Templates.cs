using AspNetCoreGeneratedDocument;
using NpmMirror.Page.Comparing;
using NpmMirror.Page.Packages;
using NpmMirror.Page.Setup;
using NpmMirror.Page.Sources;
using NpmMirror.Page.State;
using RazorSlices;

namespace NpmMirror.Page;

/// <summary>The templates of <c>Slices/</c> with what they show. Those that the package would make for them are public, and all that is shown would be, too.</summary>
internal static class Templates
{
    internal static RazorSlice State(StateModel model) => new Slices_StatePage { Model = model };

    internal static RazorSlice Setup(SetupModel model) => new Slices_SetupPage { Model = model };

    internal static RazorSlice Message(MessageModel model) => new Slices_MessagePage { Model = model };

    internal static RazorSlice Browse(BrowseModel model) => new Slices_BrowsePage { Model = model };

    internal static RazorSlice Package(PackageModel model) => new Slices_PackagePage { Model = model };

    internal static RazorSlice Version(VersionModel model) => new Slices_VersionPage { Model = model };

    internal static RazorSlice Dependencies(string up, IReadOnlyList<DependencyLine> lines, int count) => new Slices_DependencyTable { Model = new DependencyTableModel(up, lines, count) };

    internal static RazorSlice Compare(CompareModel model) => new Slices_ComparePage { Model = model };

    internal static RazorSlice Sources(SourcesModel model) => new Slices_SourcesPage { Model = model };

    internal static RazorSlice Source(SourceModel model) => new Slices_SourcePage { Model = model };

    internal static RazorSlice Link(string up, string package) => new Slices_PackageLink { Model = new PackageLinkModel(up, package) };
}

/// <summary>The frame of all pages.</summary>
internal sealed class PageLayout : IRazorSliceProxy<PageFrame>
{
    /// <inheritdoc/>
    public static RazorSlice<PageFrame> CreateSlice(PageFrame model) => new Slices_Layout { Model = model };
}
