import io.trino.server.Server;

/** Starts a Trino server, as the launcher of its own archive does. */
public class Start
{
    public static void main(String[] arguments)
    {
        new Server().start(arguments[0]);
    }
}
