import io.trino.plugin.hive.HiveConnectorFactory;
import io.trino.spi.Plugin;
import io.trino.spi.connector.ConnectorFactory;
import java.util.List;

/** Trino's Hive connector as a plugin: the registry has its library, and not the plugin itself. */
public class Hive
        implements Plugin
{
    @Override
    public Iterable<ConnectorFactory> getConnectorFactories()
    {
        return List.of(new HiveConnectorFactory("hive"));
    }
}
