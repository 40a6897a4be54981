package io.egressproxy.actuate;

import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.ProxySettings;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.convert.DurationStyle;

/**
 * The settings in force in the spelling of the documentation, without secrets: URLs and other values show themselves without, credentials and
 * whatever is sent to the proxy service as metadata show only that they are there.
 */
final class SettingsView {
    private static final String MASK = "******";
    private static final String METADATA = "metadata";
    private static final int MOST_SHOWN = 100;

    private SettingsView() {}

    static Map<String, Object> of(ProxySettings settings) {
        return view(settings);
    }

    private static Map<String, Object> view(Record node) {
        Map<String, Object> view = new LinkedHashMap<>();
        for (RecordComponent component : node.getClass().getRecordComponents()) {
            Object value = value(node, component);
            if (value == null) {
                continue;
            }
            boolean secret = node instanceof AuthCredentials;
            view.put(
                    kebab(component.getName()),
                    secret ? MASK : component.getName().equals(METADATA) ? masked((Map<?, ?>) value) : shown(value));
        }
        return view;
    }

    private static @Nullable Object value(Record node, RecordComponent component) {
        try {
            return component.getAccessor().invoke(node);
        } catch (IllegalAccessException | InvocationTargetException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static Object shown(Object value) {
        if (value instanceof Record node) {
            return view(node);
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> view = new LinkedHashMap<>();
            map.forEach((key, each) -> view.put(key.toString(), shown(each)));
            return view;
        }
        if (value instanceof Collection<?> all) {
            List<Object> first = new ArrayList<>(
                    all.stream().limit(MOST_SHOWN).map(SettingsView::shown).toList());
            if (all.size() > MOST_SHOWN) {
                first.add("... (" + all.size() + " in all)");
            }
            return first;
        }
        if (value instanceof Duration duration) {
            return text(duration);
        }
        if (value instanceof Enum<?> constant) {
            return constant.name().toLowerCase(Locale.ROOT);
        }
        return value instanceof Number || value instanceof Boolean ? value : value.toString();
    }

    /** As people write it, for example {@code 30s}. */
    static String text(Duration duration) {
        return DurationStyle.SIMPLE.print(
                duration, duration.toMillisPart() == 0 ? ChronoUnit.SECONDS : ChronoUnit.MILLIS);
    }

    /** Nobody knows what stands there. */
    private static Map<String, Object> masked(Map<?, ?> metadata) {
        Map<String, Object> view = new LinkedHashMap<>();
        metadata.keySet().forEach(key -> view.put(key.toString(), MASK));
        return view;
    }

    private static String kebab(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }
}
