/** Has the browser download what is at an address, under a name. */
export function saveAs(address: string, name: string): void {
  const a = document.createElement('a');
  a.href = address;
  a.download = name;
  a.click();
}
