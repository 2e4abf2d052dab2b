// What is told of many measurements.

export const sorted = numbers => [...numbers].sort((a, b) => a - b)

export function median(numbers) {
  const list = sorted(numbers)
  const middle = list.length >> 1
  return list.length % 2 ? list[middle] : (list[middle - 1] + list[middle]) / 2
}

export const percentile = (numbers, part) => sorted(numbers)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))]

export const figure = number => number >= 100 ? Math.round(number).toLocaleString('en') : Number(number.toPrecision(3)).toString()

export const milliseconds = microseconds => figure(microseconds / 1000)
