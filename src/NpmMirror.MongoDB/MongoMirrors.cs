using NpmMirror.Hosting;

namespace NpmMirror.MongoDB;

/// <summary>MongoDB among the engines of a mirror.</summary>
public static class MongoMirrors
{
    /// <summary>Adds the MongoDB engine.</summary>
    public static MirrorBuilder UseMongoDB(this MirrorBuilder mirror) => mirror.AddEngine(new MongoEngine());
}
