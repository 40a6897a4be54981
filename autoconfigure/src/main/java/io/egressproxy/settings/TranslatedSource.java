package io.egressproxy.settings;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.source.ConfigurationProperty;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.IterableConfigurationPropertySource;
import org.springframework.boot.origin.Origin;

/** The settings that one property source holds, under the names they have today, each with its origin. */
final class TranslatedSource implements IterableConfigurationPropertySource {
    private final Map<ConfigurationPropertyName, ConfigurationProperty> properties = new LinkedHashMap<>();

    /**
     * Adds a setting.
     *
     * @return whether it was new
     */
    boolean add(ConfigurationPropertyName name, Object value, @Nullable Origin origin) {
        return properties.putIfAbsent(name, new ConfigurationProperty(name, value, origin)) == null;
    }

    @Override
    public Stream<ConfigurationPropertyName> stream() {
        return properties.keySet().stream();
    }

    @Override
    public @Nullable ConfigurationProperty getConfigurationProperty(ConfigurationPropertyName name) {
        return properties.get(name);
    }
}
