package io.egressproxy.settings;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.source.ConfigurationProperty;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyState;
import org.springframework.boot.context.properties.source.IterableConfigurationPropertySource;
import org.springframework.boot.origin.Origin;

/** The settings that one property source holds, under the names they have today, each with its origin. */
final class TranslatedSource implements IterableConfigurationPropertySource {
    private final Map<ConfigurationPropertyName, ConfigurationProperty> properties = new LinkedHashMap<>();
    private final Set<ConfigurationPropertyName> ancestors = new HashSet<>();
    private final Map<ConfigurationPropertyName, ConfigurationProperty> plainMembers = new HashMap<>();

    /**
     * Adds a setting.
     *
     * @return whether it was new
     */
    boolean add(ConfigurationPropertyName name, Object value, @Nullable Origin origin) {
        if (properties.putIfAbsent(name, new ConfigurationProperty(name, value, origin)) != null) {
            return false;
        }
        ConfigurationPropertyName ancestor = name.getParent();
        if (isPoolMember(ancestor)) {
            if (ancestors.contains(ancestor)) {
                plainMembers.remove(ancestor);
            } else if (name.getLastElement(ConfigurationPropertyName.Form.UNIFORM)
                    .equals("url")) {
                plainMembers.put(ancestor, new ConfigurationProperty(ancestor, value, origin));
            }
        }
        while (!ancestor.isEmpty() && ancestors.add(ancestor)) {
            ancestor = ancestor.getParent();
        }
        return true;
    }

    private static boolean isPoolMember(ConfigurationPropertyName name) {
        int last = name.getNumberOfElements() - 1;
        return last > 0
                && name.isNumericIndex(last)
                && name.getElement(last - 1, ConfigurationPropertyName.Form.UNIFORM)
                        .equals("pool");
    }

    boolean isEmpty() {
        return properties.isEmpty();
    }

    /** The binder asks this for each element of a list; looking through all names each time takes seconds for 10 000 proxies. */
    @Override
    public ConfigurationPropertyState containsDescendantOf(ConfigurationPropertyName name) {
        return ancestors.contains(name) ? ConfigurationPropertyState.PRESENT : ConfigurationPropertyState.ABSENT;
    }

    @Override
    public Stream<ConfigurationPropertyName> stream() {
        return properties.keySet().stream();
    }

    /**
     * A proxy of a pool of which nothing is said but its URL has that for a value, too: a value is bound many times as fast as an object, which
     * counts among 10 000.
     */
    @Override
    public @Nullable ConfigurationProperty getConfigurationProperty(ConfigurationPropertyName name) {
        ConfigurationProperty property = properties.get(name);
        return property != null ? property : plainMembers.get(name);
    }
}
