using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace NpmMirror.Testing;

/// <summary>The connection below a request: for answers that no honest server would send.</summary>
internal sealed class FakeConnection(ConnectionContext connection)
{
    public PipeWriter Output => connection.Transport.Output;

    /// <summary>Ends the connection: by a FIN after everything written, or at once by a reset.</summary>
    public async Task EndAsync(bool isReset)
    {
        if (isReset)
        {
            connection.Abort(new ConnectionAbortedException("The rule says so."));
            return;
        }

        await Output.CompleteAsync();
    }
}
